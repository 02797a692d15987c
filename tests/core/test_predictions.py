"""Predictions as a value and as a file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_predictions import drawn

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.predictions import Predictions, from_parquet, joined, to_parquet

FIELDS = ("images", "labels", "top", "logits", "label_logit", "rank", "log_sum_exp", "square_sum")
HALVES = ("base_logit", "base_log_sum_exp", "rank")


def assert_same(one: Predictions, other: Predictions) -> None:
    assert (one.target, one.reading, one.classes) == (other.target, other.reading, other.classes)
    for name in FIELDS:
        first, second = getattr(one, name), getattr(other, name)
        assert first.dtype.kind == second.dtype.kind
        assert first.dtype.itemsize == second.dtype.itemsize or name == "images"
        np.testing.assert_array_equal(first, second)
    assert (one.halves is None) == (other.halves is None)
    for name in HALVES if one.halves is not None else ():
        np.testing.assert_array_equal(getattr(one.halves, name), getattr(other.halves, name))


@pytest.mark.parametrize("classes", [1, 2, 4, 5, 6, 300])
@pytest.mark.parametrize("images", [1, 7, 400])
def test_a_file_gives_back_what_was_written(classes: int, images: int) -> None:
    written = [drawn(images, classes, reading=reading, seed=seed) for seed, reading in enumerate(("", "a/b", "ü"))]
    read = from_parquet(to_parquet(written), "it")
    assert len(read) == len(written)
    for one, other in zip(written, read, strict=True):
        assert_same(one, other)


def test_halves_are_kept_too(tmp_path: Path) -> None:
    written = drawn(50, 9, base=5)
    path = tmp_path / "it.parquet"
    path.write_bytes(to_parquet([written]))
    (read,) = from_parquet(path, "it")
    assert_same(written, read)
    assert read.halves is not None


def test_temperatures_are_kept_by_reading_and_their_absence_changes_no_byte() -> None:
    plain = [drawn(20, 6), drawn(20, 6, reading="other")]
    written = [replace(plain[0], temperature=2.5), replace(plain[1], temperature=0.1)]
    assert [each.temperature for each in from_parquet(to_parquet(written), "it")] == [2.5, 0.1]
    assert [each.temperature for each in from_parquet(to_parquet(plain), "it")] == [1, 1]
    assert b"temperature" not in to_parquet(plain)


def test_sets_of_images_are_joined_in_their_order() -> None:
    parts = [drawn(7, 6, seed=1), drawn(5, 6, seed=2)]
    whole = joined(parts)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(whole, name), np.concatenate([getattr(each, name) for each in parts]))
    assert len(whole) == 12


def test_equal_predictions_are_equal_bytes() -> None:
    assert to_parquet([drawn(30, 8)]) == to_parquet([drawn(30, 8)])


def test_an_image_takes_at_most_48_bytes() -> None:
    """Test sets of the sizes of SUN397, Flowers and Textures; with halves, the most that is kept."""
    size = images = 0
    for count, classes in ((20000, 400), (3000, 101), (1700, 47)):
        found = drawn(count, classes, base=classes // 2)
        size += len(to_parquet([found]))
        images += count
    assert size / images <= 48


def test_counts_are_right_answers_and_images_by_class() -> None:
    found = drawn(300, 7)
    right, total = found.counts()
    predicted = found.top[:, 0]
    assert total == tuple(int((found.labels == label).sum()) for label in range(7))
    assert right == tuple(int(((found.labels == label) & (predicted == label)).sum()) for label in range(7))


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "other"])
def test_what_holds_no_predictions_is_one_line(damage: str, tmp_path: Path) -> None:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    whole = to_parquet([drawn(30, 8)])
    other = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), other)
    content = {"cut": whole[:-40], "empty": b"", "text": b"PAR1 nothing", "other": other.getvalue()}[damage]
    with pytest.raises(UserError, match=r"^it holds no predictions: [^\n]*$"):
        from_parquet(content, "it")


def test_a_later_version_says_upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promptarena.benchmark.core.predictions.VERSION", 2)
    later = to_parquet([drawn(3, 3)])
    monkeypatch.undo()
    with pytest.raises(UserError, match="it has schema version 2, this promptarena reads 1; upgrade"):
        from_parquet(later, "it")
