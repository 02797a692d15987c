"""What a method sees of images: keyed augmentation, frozen features shared through the cache, and nothing unasked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny
import torch

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.inputs import array_cache as cache
from promptarena.benchmark.inputs.pixel_batch import PixelBatch
from promptarena.benchmark.inputs.transforms import Augmentation
from promptarena.benchmark.inputs.views import View
from promptarena.benchmark.training.loop import train
from promptarena.methods.coop import CoOp, CoOpConfig

KEYS = ["a", "b", "c", "d", "e"]
FIRST = Augmentation(seed=1, epoch=1, crop_scale=(0.08, 1.0))


def view(keys: list[str], augmentation: Augmentation | None = FIRST) -> View:
    return View(tiny.Drawings(keys), tiny.backbone(), tiny.NO_CACHE, augmentation)


def test_an_augmented_picture_does_not_depend_on_list_order_or_batch() -> None:
    whole = view(KEYS).decoded(range(5))
    np.testing.assert_array_equal(view(KEYS).decoded([3, 1])[0], whole[3])
    np.testing.assert_array_equal(view(["x", "d"]).decoded([1])[0], whole[3])
    np.testing.assert_array_equal(view(KEYS[::-1]).decoded(range(5))[::-1], whole)


@pytest.mark.parametrize(
    "other",
    [
        None,
        Augmentation(seed=2, epoch=1, crop_scale=(0.08, 1.0)),
        Augmentation(seed=1, epoch=2, crop_scale=(0.08, 1.0)),
        Augmentation(seed=1, epoch=1, crop_scale=(0.5, 0.9)),
    ],
)
def test_it_depends_on_seed_epoch_and_scale(other: Augmentation | None, tmp_path: Path) -> None:
    assert not np.array_equal(view(KEYS, other).decoded(range(5)), view(KEYS).decoded(range(5)))
    cache, drawings = tiny.cache(tmp_path), tiny.Drawings(KEYS)
    one, two = (View(drawings, tiny.backbone(), cache, augmentation).features([0]) for augmentation in (FIRST, other))
    assert not torch.equal(one, two)


def test_different_pictures_are_cropped_differently() -> None:
    flat = tiny.Drawings(KEYS)
    flat.image = lambda index: tiny.Drawings(["same"]).image(0)  # type: ignore[method-assign]
    pictures = View(flat, tiny.backbone(), tiny.NO_CACHE, FIRST).decoded(range(5))
    assert len({picture.tobytes() for picture in pictures}) == 5


@pytest.mark.parametrize("augmentation", [None, FIRST])
def test_features_are_those_of_the_pixels(augmentation: Augmentation | None, tmp_path: Path) -> None:
    backbone = tiny.backbone()
    shown = View(tiny.Drawings(KEYS), backbone, tiny.cache(tmp_path), augmentation)
    batch = shown.batch([4, 0, 4])
    assert len(batch) == 3
    assert batch.pixels.shape == (3, 3, 16, 16)
    torch.testing.assert_close(batch.features, backbone.encode_image(batch.pixels), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(batch.features, PixelBatch(batch.pixels, backbone).features, rtol=1e-5, atol=1e-5)
    assert not batch.features.requires_grad


def test_features_do_not_depend_on_who_asks_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "CHUNK", 2)
    drawings = tiny.Drawings(KEYS)
    one = View(drawings, tiny.backbone(), tiny.cache(tmp_path / "one"))
    two = View(drawings, tiny.backbone(), tiny.cache(tmp_path / "two"))
    last = two.features([4])
    assert torch.equal(one.features(range(5))[4:], last)


def test_nothing_is_decoded_before_it_is_asked_for_nor_twice(tmp_path: Path) -> None:
    drawings, cache = tiny.Drawings(KEYS), tiny.cache(tmp_path)
    batch = View(drawings, tiny.backbone(), cache).batch([0, 1])
    assert drawings.decoded == 0
    _ = batch.features
    assert drawings.decoded == 5
    _ = batch.features
    _ = View(drawings, tiny.backbone(), tiny.cache(tmp_path)).features([3])
    assert drawings.decoded == 5
    _ = batch.pixels
    assert drawings.decoded == 5


def test_a_text_side_method_decodes_each_augmented_picture_once(tmp_path: Path) -> None:
    task = tiny.task(count=6)
    drawings: Any = task.train.images
    _, recipe = CoOp.preset(tiny.training_task())
    for attempt, decoded in (("first", 12), ("second", 12)):
        learner = CoOp(tiny.backbone(), CoOpConfig(), task.classes, torch.Generator())
        train(
            learner,
            recipe.model_copy(update={"epochs": 2, "batch_size": 3}),
            task,
            cache=tiny.cache(tmp_path),
            checkpoint=tmp_path / attempt,
            train_key="key",
            on_epoch=lambda _: None,
        )
        assert drawings.decoded == decoded


def test_backbones_do_not_share_features(tmp_path: Path) -> None:
    cache, drawings = tiny.cache(tmp_path), tiny.Drawings(KEYS)
    other = tiny.wrapped(tiny.model(seed=1))
    shifted = tiny.wrapped(tiny.model())
    shifted.mean = (0.5, 0.5, 0.5)
    seen = [View(drawings, backbone, cache).features([0]) for backbone in (tiny.backbone(), other, shifted)]
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


def test_what_is_handed_out_may_be_written_to(tmp_path: Path) -> None:
    shown = View(tiny.Drawings(KEYS), tiny.backbone(), tiny.cache(tmp_path))
    before = shown.features([0])
    shown.features([0]).zero_()
    assert torch.equal(shown.features([0]), before)


def test_an_empty_list_has_empty_features(tmp_path: Path) -> None:
    empty = View(tiny.Drawings([]), tiny.backbone(), tiny.cache(tmp_path))
    assert empty.batch(range(0)).features.shape == (0, 20)
    assert empty.batch(range(0)).tokens_at(1).shape == (0, 5, 48)
    assert empty.pixels([]).shape == (0, 3, 16, 16)


def test_features_are_computed_again_when_a_picture_after_its_key_changed(tmp_path: Path) -> None:
    backbone, cache = tiny.backbone(), tiny.cache(tmp_path)
    before, after, same = tiny.Drawings(KEYS), tiny.Drawings(KEYS), tiny.Drawings(KEYS)
    after.stamp = same.stamp = "replaced"
    for drawings in (before, after, same):
        View(drawings, backbone, cache).features(range(5))
    assert [drawings.decoded for drawings in (before, after, same)] == [5, 5, 0]


@contextmanager
def counted(backbone: Backbone) -> Iterator[list[int]]:
    """How often each image block runs inside."""
    runs = [0] * backbone.vision.depth

    def count(block: int) -> Any:
        def hook(*_: object) -> None:
            runs[block] += 1

        return hook

    hooks = [block.ln_1.register_forward_hook(count(index)) for index, block in enumerate(backbone.vision.blocks)]
    yield runs
    for hook in hooks:
        hook.remove()


def test_image_blocks_below_the_tokens_run_once_for_student_and_teacher(tmp_path: Path) -> None:
    backbone = tiny.backbone()
    with counted(backbone) as runs:
        batch = PixelBatch(tiny.pixels(4), backbone)
        _ = batch.tokens_at(1), batch.tokens_at(2), batch.features
    assert runs == [1, 1, 1]
    shown = View(tiny.Drawings(KEYS), backbone, tiny.cache(tmp_path), FIRST)
    with counted(backbone) as runs:
        _ = shown.batch([0, 1]).tokens_at(2), shown.batch([0, 1]).features
    assert runs == [1, 1, 1]


@pytest.mark.parametrize("block", [0, 2, 3])
def test_features_of_a_view_are_the_same_bits_with_and_without_its_tokens(block: int, tmp_path: Path) -> None:
    backbone, drawings = tiny.backbone(), tiny.Drawings(KEYS)
    one, two = (View(drawings, backbone, tiny.cache(tmp_path / name)) for name in ("one", "two"))
    one.tokens_at(block, [0])
    assert torch.equal(one.features(range(5)), two.features(range(5)))


def test_tokens_of_augmented_images_stay_out_of_the_cache(tmp_path: Path) -> None:
    """They are read in one epoch. Each row's are computed once, with the bits that the cache would give."""
    drawings, cache = tiny.Drawings(KEYS), tiny.cache(tmp_path)
    shown = View(drawings, tiny.backbone(), cache, FIRST)
    tokens = torch.cat([shown.tokens_at(2, [row]) for row in range(5)])
    assert drawings.decoded == 5
    assert not list(tmp_path.rglob("*.npy"))
    assert torch.equal(tokens, shown.plain(range(5)).tokens_at(2))
    plain = View(drawings, tiny.backbone(), cache)
    plain.tokens_at(2, [0])
    assert len(list(tmp_path.rglob("*.npy"))) == 2  # the transformed images, and their tokens


@pytest.mark.parametrize("kind", ["crop", "randaugment"])
def test_a_second_view_is_another_draw_of_the_same_images(kind: str) -> None:
    augmentation = Augmentation(1, 1, (0.08, 1.0), kind)
    first = view(KEYS, augmentation).batch([3, 1])
    second = first.second
    assert not torch.equal(first.pixels, second.pixels)
    assert torch.equal(second.pixels, view(KEYS[::-1], augmentation).batch([1, 3]).second.pixels)
    assert not torch.equal(first.features, second.features)
    plain = view(KEYS, None).batch([3, 1])
    assert torch.equal(plain.second.pixels, plain.pixels)


def test_rand_augment_differs_from_the_crop_and_by_image_and_epoch() -> None:
    shown = [view(KEYS, Augmentation(1, epoch, (0.08, 1.0), "randaugment")).decoded(range(5)) for epoch in range(12)]
    assert not np.array_equal(shown[1], view(KEYS).decoded(range(5)))
    assert len({images.tobytes() for images in shown}) == 12
    assert len({image.tobytes() for images in shown for image in images}) > 40
    torch.manual_seed(7)
    before = torch.get_rng_state()
    again = view(KEYS, Augmentation(1, 1, (0.08, 1.0), "randaugment")).decoded(range(5))
    np.testing.assert_array_equal(again, shown[1])
    assert torch.equal(torch.get_rng_state(), before)  # nothing is drawn from the global generator


def test_usual_augmentations_keep_their_identity() -> None:
    """Features that are in a user's cache stay valid."""
    assert FIRST.drawn == [1, 1, 0.08, 1.0]
    assert Augmentation(1, 1, (0.08, 1.0), "crop", 2).drawn != FIRST.drawn


def test_a_gpu_gets_images_from_pinned_memory_without_being_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: sent.append("pinned") or tensor)
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, *to, **how: sent.append((to, how)) or tensor)
    device = torch.device("cuda", 1)
    backbone: Any = SimpleNamespace(device=device, colours=(torch.zeros(3, 1, 1), torch.ones(3, 1, 1)))
    View(tiny.Drawings(KEYS), backbone, tiny.NO_CACHE).normalised(np.zeros((2, 4, 4, 3), np.uint8))
    assert sent == ["pinned", ((device,), {"non_blocking": True})]
