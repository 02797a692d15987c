"""Few-shot training images are decoded once, within a bound, and have the pixels of their files."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tiny

from promptarena.benchmark.inputs import views
from promptarena.benchmark.inputs.decoded_images import DecodedImages
from promptarena.benchmark.inputs.transforms import Augmentation
from promptarena.benchmark.inputs.views import View

EACH = 24 * 20 * 3
MIB = (1 << 20) // EACH
"""Drawn images that fit into a MiB."""


def drawings(count: int, name: str = "drawn") -> tiny.Drawings:
    return tiny.Drawings([f"{name}/{row}" for row in range(count)])


def read(kept: DecodedImages, images: tiny.Drawings, rows: range) -> None:
    for row in rows:
        found = kept.image(images.digest, row, images.image)
        assert found.mode == "RGB"
        assert found.tobytes() == drawings(len(images), images.keys[0].split("/")[0]).image(row).tobytes()


def test_an_image_is_decoded_once_and_has_the_pixels_of_its_file() -> None:
    kept, images = DecodedImages(), drawings(7)
    for _ in range(3):
        read(kept, images, range(7))
    assert (images.decoded, kept.bytes) == (7, 7 * EACH)


def test_of_a_list_beyond_the_limit_the_first_ones_stay() -> None:
    kept, images = DecodedImages(1), drawings(MIB + 50)
    for epoch in range(1, 4):
        read(kept, images, range(len(images)))
        assert images.decoded == len(images) + 50 * (epoch - 1)
        assert kept.bytes <= 1 << 20


def test_the_list_that_was_used_longest_ago_goes_first() -> None:
    kept, count = DecodedImages(1), MIB // 2
    one, two, three = (drawings(count, name) for name in ("one", "two", "three"))
    for images in (one, two, one, three):
        read(kept, images, range(count))
    assert (one.decoded, two.decoded, three.decoded) == (count, count, count)
    read(kept, one, range(count))
    assert one.decoded == count
    read(kept, two, range(count))
    assert two.decoded == 2 * count
    assert kept.bytes <= 1 << 20


def test_threads_may_read_at_once() -> None:
    kept, images = DecodedImages(1), drawings(MIB + 20)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda start: read(kept, images, range(start, len(images), 8)), [*range(8)] * 2))
    assert kept.bytes == MIB * EACH


@pytest.mark.parametrize("kind", ["crop", "randaugment"])
@pytest.mark.parametrize("threads", [0, 3])
def test_epochs_crop_from_memory_where_threads_read(
    kind: str, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "reading_threads", lambda device: threads)
    images, cache = drawings(5), tiny.cache(tmp_path)
    for epoch in (1, 2):
        augmentation = Augmentation(1, epoch, (0.08, 1.0), kind)
        found = View(images, tiny.backbone(), cache, augmentation).decoded(range(5))
        expected = [augmentation.view(drawings(5).image(row), images.key(row), 16) for row in range(5)]
        np.testing.assert_array_equal(found, np.stack([np.asarray(each) for each in expected]))
    assert images.decoded == (5 if threads else 10)
