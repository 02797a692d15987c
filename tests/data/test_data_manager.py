"""From cards and a seed to labelled images."""

from pathlib import Path

import pytest
from worlds import NAMES, Listed, suite

from promptarena.benchmark.core.runs import Subset


@pytest.mark.parametrize("subset", ["base", "novel", "all"])
def test_a_few_shot_split_of_a_subset_is_that_of_all_classes_restricted(subset: Subset, tmp_path: Path) -> None:
    data, card = Listed(), suite(tmp_path).card("birds")
    whole, _ = data.few_shot(card, "all", 2, 1)
    part, val = data.few_shot(card, subset, 2, 1)
    names = data.classes(card, subset, "train").names
    assert len(part.labels) == 2 * len(names)
    assert set(part.labels) == set(range(len(names)))
    everything = {whole.images.key(row): NAMES[label] for row, label in enumerate(whole.labels)}
    for row, label in enumerate(part.labels):
        assert everything[part.images.key(row)] == names[label]
    assert len(val.labels) == 2 * len(names)


def test_the_digest_follows_rows_and_their_order(tmp_path: Path) -> None:
    data, card = Listed(), suite(tmp_path).card("birds")
    digests = {data.few_shot(card, "all", 2, seed)[0].images.digest for seed in (1, 2, 3)}
    assert len(digests) == 3
    assert data.few_shot(card, "all", 2, 1)[0].images.digest in digests


def test_a_split_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from promptarena.benchmark.data import data_manager

    listed: list[str] = []
    found = Listed().find(suite(tmp_path).card("birds"), "test")
    monkeypatch.setattr(data_manager, "find_split", lambda card, name, root: listed.append(name) or found)
    data = data_manager.Data(None)
    for _ in range(3):
        assert len(data.test(suite(tmp_path).card("birds")).labels) == 32
    assert listed == ["test"]


def test_a_few_shot_split_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from promptarena.benchmark.data import data_manager

    data, card = Listed(), suite(tmp_path).card("birds")
    drawn, draw = list[tuple[int, int]](), data_manager.draw_few_shot
    monkeypatch.setattr(
        data_manager, "draw_few_shot", lambda train, val, *given: drawn.append(given) or draw(train, val, *given)
    )
    for shots, seed in ((2, 1), (1, 1), (2, 2), (2, 1), (1, 1)):
        for subset in ("base", "novel"):
            data.few_shot(card, subset, shots, seed)
    assert drawn == [(2, 1), (1, 1), (2, 2)]
