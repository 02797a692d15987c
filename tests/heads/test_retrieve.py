import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from e2e_world import make_world
from PIL import Image
from torch import Tensor

from promptarena.benchmark.backbone.head_roles import ATTRIBUTES
from promptarena.benchmark.backbone.loading import load_backbone
from promptarena.benchmark.cli.commands.heads import Search, run_retrieval
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.keys import generator
from promptarena.benchmark.heads.retrieve import BATCH, figures, retrieve
from promptarena.benchmark.inputs.pixel_batch import PixelBatch
from promptarena.benchmark.planning.suites import load_suite
from promptarena.benchmark.plugins.learner import Images
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.training.trained_learner import Learned

SIDE = 16
BACKBONE = tiny.backbone()
CLASSES = Classes(("one", "two"), "a {}.")


class Stub:
    """Attribute k is the k-th row of the picture, its pixels in a line."""

    def attribute_features(self, images: Images) -> Tensor:
        return F.normalize(images.pixels[:, :, : len(ATTRIBUTES)].transpose(1, 2).flatten(2), dim=-1)


def make_pictures(folder: Path, count: int) -> list[Path]:
    paths = [folder / ("ab"[number % 2]) / f"{number:02}.png" for number in range(count)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = generator("picture", path.name).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    return sorted(paths)


def pixels(path: Path) -> np.ndarray:
    """(3, H, H) normalised."""
    array = np.asarray(Image.open(path), dtype=np.float64) / 255
    normalised: np.ndarray = ((array - BACKBONE.mean) / BACKBONE.std).transpose(2, 0, 1)
    return normalised


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float((one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum()))


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_pictures_are_ranked_by_the_cosines_of_the_attribute_and_of_plain_clip(attribute: str, tmp_path: Path) -> None:
    query, *others = make_pictures(tmp_path / "pictures", BATCH + 9)
    found = retrieve(BACKBONE, Stub(), query, tmp_path / "pictures", attribute, 5)
    row = ATTRIBUTES.index(attribute)
    batch = torch.from_numpy(np.stack([pixels(path) for path in (query, *others)])).float()
    encoded = BACKBONE.encode_image(batch).double().numpy()
    own = [cosine(pixels(query)[:, row], pixels(path)[:, row]) for path in others]
    plain = [cosine(encoded[0], one) for one in encoded[1:]]
    assert found.compared == len(others)
    for cosines, ranking in ((own, found.by_attribute), (plain, found.by_clip)):
        best = sorted(range(len(others)), key=lambda place: -cosines[place])[:5]
        assert [tmp_path / "pictures" / neighbour.name for neighbour in ranking] == [others[place] for place in best]
        assert [neighbour.cosine for neighbour in ranking] == pytest.approx([cosines[i] for i in best], abs=1e-5)


def test_the_query_itself_is_not_ranked_but_a_copy_of_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    query, *others = make_pictures(folder, 4)
    (tmp_path / "link.png").symlink_to(query)
    assert retrieve(BACKBONE, Stub(), tmp_path / "link.png", folder, "shape", 9).compared == len(others)
    for name in ("y.png", "x.png"):
        (folder / name).write_bytes(query.read_bytes())
    found = retrieve(BACKBONE, Stub(), query, folder, "shape", 9)
    assert [neighbour.name for neighbour in found.by_attribute[:2]] == ["x.png", "y.png"]
    assert [neighbour.cosine for neighbour in found.by_attribute[:2]] == [1.0, 1.0]
    assert len(found.by_attribute) == len(found.by_clip) == len(others) + 2


def test_the_same_pictures_give_the_same_files(tmp_path: Path) -> None:
    query, *_ = make_pictures(tmp_path, 6)
    first, second = (retrieve(BACKBONE, Stub(), query, tmp_path, "texture", 3) for _ in range(2))
    assert first.text() == second.text()
    files = figures(first, query, tmp_path)
    assert files == figures(second, query, tmp_path)
    assert set(files) == {"retrieval.png", "retrieval.svg"}
    width, height = Image.open(io.BytesIO(files["retrieval.png"])).size
    assert width > height > 300
    assert files["retrieval.svg"].count(b"<image") == 1 + 2 * 3


def test_what_is_missing_is_reported_in_one_line(tmp_path: Path) -> None:
    query, *_ = make_pictures(tmp_path / "pictures", 3)
    (tmp_path / "alone").mkdir()
    with pytest.raises(UserError, match=r"no\w*: no such folder"):
        retrieve(BACKBONE, Stub(), query, tmp_path / "nowhere", "colour", 3)
    with pytest.raises(UserError, match="holds no images"):
        retrieve(BACKBONE, Stub(), query, tmp_path / "alone", "colour", 3)
    (tmp_path / "alone" / "one.png").symlink_to(query)
    with pytest.raises(UserError, match="no other image than the query"):
        retrieve(BACKBONE, Stub(), query, tmp_path / "alone", "colour", 3)
    with pytest.raises(UserError, match=r"nix\.png"):
        retrieve(BACKBONE, Stub(), tmp_path / "nix.png", tmp_path / "pictures", "colour", 3)
    (tmp_path / "pictures" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"broken\.png cannot be decoded"):
        retrieve(BACKBONE, Stub(), query, tmp_path / "pictures", "colour", 3)


class WithoutTokens(Stub):
    def attribute_features(self, images: Images) -> Tensor:
        return super().attribute_features(images)[:, :0]


def test_a_learner_without_attribute_tokens_is_refused(tmp_path: Path) -> None:
    query, *_ = make_pictures(tmp_path, 3)
    with pytest.raises(UserError, match="without attribute tokens"):
        retrieve(BACKBONE, WithoutTokens(), query, tmp_path, "colour", 3)


def kept(method: str, suite: Path, path: Path) -> Path:
    """A learner as it starts on the suite's backbone."""
    source = load_suite(suite).backbone
    backbone = load_backbone(source.given_architecture, source.given_weights, device="cpu")
    entry = load_registry().get(method)
    learner = entry.learner(backbone, entry.learner.config_type(), CLASSES, torch.Generator().manual_seed(1))
    path.write_bytes(Learned.of(learner, CLASSES, method, entry.source).content())
    return path


def test_the_command_ranks_draws_and_records_beside_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    suite, results = make_world(tmp_path / "world"), tmp_path / "results"
    file = kept("dear", suite, tmp_path / "learned.safetensors")
    record = Record.open(RecordPlace(results))
    run = record.document("small", "run", "dear", "key", {}, {}, {"learned.safetensors": file.read_bytes()})
    query, *others = make_pictures(tmp_path / "pictures", 4)

    def search(run: str) -> tuple[str, str]:
        out = tmp_path / "figure.png"
        run_retrieval(Search(run, tmp_path / "pictures", query, "colour", 2, str(suite), out=out), RecordPlace(results))
        assert {out.exists(), out.with_suffix(".svg").exists()} == {True}
        captured = capsys.readouterr()
        assert not captured.err.strip()
        found = re.search(r"in run (\w+) of", captured.out)
        assert found
        return captured.out.split("Figure:")[0], found[1]

    ranked, recorded = search(run)
    kept_ranking = json.loads(record.artifact(recorded, "ranking.json", tmp_path).read_text())
    assert kept_ranking["compared"] == len(others)
    assert all(neighbour["name"] in ranked for neighbour in kept_ranking["by_attribute"] + kept_ranking["by_clip"])
    assert record.artifact(recorded, "retrieval.png", tmp_path).read_bytes() == (tmp_path / "figure.png").read_bytes()
    assert search(run) == (ranked, recorded)
    assert search(str(file)) == (ranked, recorded)


def test_the_command_refuses_what_it_cannot_rank_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    suite = make_world(tmp_path / "world")
    query, *_ = make_pictures(tmp_path / "pictures", 3)
    coop = kept("coop", suite, tmp_path / "learned.safetensors")
    for run, message in ((str(coop), "coop has no image features of single attributes"), ("ab" * 16, "give the id")):
        search = Search(run, tmp_path / "pictures", query, "colour", suite=str(suite))
        with pytest.raises(UserError, match=message) as caught:
            run_retrieval(search, RecordPlace(tmp_path / "results"))
        assert "\n" not in str(caught.value)


def test_attribute_features_of_dear_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    suite = make_world(tmp_path / "world")
    source = load_suite(suite).backbone
    backbone = load_backbone(source.given_architecture, source.given_weights, device="cpu")
    learner = Learned.load(kept("dear", suite, tmp_path / "learned.safetensors")).learner(backbone, load_registry())
    images = tiny.pixels(3, backbone.image_size)
    with torch.no_grad():
        together = learner.attribute_features(PixelBatch(images, backbone))  # type: ignore[operator]
        alone = learner.attribute_features(PixelBatch(images[1:2], backbone))  # type: ignore[operator]
    assert together.shape == (3, 5, backbone.embed_dim)
    assert torch.allclose(together[1:2], alone, atol=1e-5)
