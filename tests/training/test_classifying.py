"""Image files of every kind, classified; what cannot be decoded is listed."""

from pathlib import Path

import odd_pictures
import pytest
import tiny

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.training.classifying import classify
from promptarena.benchmark.training.evaluation import BATCH

CLASSES = Classes(tiny.NAMES, tiny.TEMPLATE)


def test_every_kind_of_file_is_classified_and_damaged_ones_are_listed(tmp_path: Path) -> None:
    picture = odd_pictures.noise((200, 40, 40), (30, 20))
    paths = []
    for kind, make in odd_pictures.KINDS.items():
        paths.append(tmp_path / f"{kind}.png")
        paths[-1].write_bytes(make(picture))
    bad = [tmp_path / "cut.jpg", tmp_path / "missing.png", tmp_path]
    bad[0].write_bytes(odd_pictures.stored(picture, "JPEG")[:100])
    found = classify(tiny.linear(), [*bad, *paths], CLASSES, 5)
    assert list(found.unread) == [0, 1, 2]
    assert [each.image for each in found.guesses[::3]] == [3 + place for place in range(len(paths))]
    for start in range(0, len(found.guesses), 3):
        three = found.guesses[start : start + 3]
        assert [each.rank for each in three] == [1, 2, 3]
        assert {each.name for each in three} == set(tiny.NAMES)
        assert sum(each.probability for each in three) == pytest.approx(1.0, abs=1e-5)
        assert three[0].probability >= three[1].probability >= three[2].probability


def test_more_files_than_a_batch_are_reported_as_they_go(tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    path.write_bytes(odd_pictures.stored(odd_pictures.noise((0, 90, 0), (8, 8)), "PNG"))
    seen: list[int] = []
    found = classify(tiny.linear(), [path] * (BATCH + 3), CLASSES, 1, seen.append)
    assert seen == [BATCH, 3]
    assert len({each.label for each in found.guesses}) == 1


def test_without_classes_there_is_nothing_to_choose(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no classes to choose from"):
        classify(tiny.linear(), [tmp_path / "x.png"], Classes((), tiny.TEMPLATE), 1)
