"""Any images, classified by a trained learner among any class names."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.images import decode, decode_as_shown, shown_otherwise
from promptarena.benchmark.inputs.array_cache import ArrayCache, default_cache_folder
from promptarena.benchmark.inputs.views import View
from promptarena.benchmark.plugins.learner import Learner
from promptarena.benchmark.training.evaluation import BATCH


class Guess(NamedTuple):
    """A class of an image: the image's place among those given, the rank from 1, the class's number and name, and its
    probability among all classes."""

    image: int
    rank: int
    label: int
    name: str
    probability: float


class Classified(NamedTuple):
    """What came out: the guesses in the order of the images and ranks, and by place the reason for each image without
    one, and how a viewer's image would differ."""

    guesses: list[Guess]
    unread: dict[int, str]
    shown_otherwise: dict[int, str]


class _Images:
    """Decoded images as a list of images. They have no identity, since nothing about them is cached."""

    digest = stamp = ""

    def __init__(self, images: Sequence[Image.Image]) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def key(self, index: int) -> str:
        return str(index)

    def image(self, index: int) -> Image.Image:
        return self._images[index]


def classify(
    learner: Learner,
    images: Sequence[Path | Image.Image],
    classes: Classes,
    top: int,
    advance: Callable[[int], None] = lambda _: None,
    *,
    as_shown: bool = False,
) -> Classified:
    """Classify images as an evaluation does: decoded, prepared and batched in the same way.

    Args:
        learner: The learner, in evaluation mode.
        images: Files, or images of Pillow.
        classes: The C classes.
        top: How many classes of each image are given, at most C.
        advance: Called with the number of images after each batch.
        as_shown: Whether files are decoded as viewers show them (see `decode_as_shown`), not as in an evaluation.

    Returns:
        The guesses; files that cannot be decoded are listed and do not disturb the others.

    Raises:
        UserError: There are no classes, or the learner cannot score these ones.
    """
    if not len(classes):
        raise UserError("there are no classes to choose from; give at least one")
    guesses: list[Guess] = []
    unread: dict[int, str] = {}
    otherwise: dict[int, str] = {}
    cache = ArrayCache(default_cache_folder())
    with torch.inference_mode(), learner.backbone.autocast():
        classifier = learner.classifier(learner.prompts(classes))
        for start in range(0, len(images), BATCH):
            read: list[tuple[int, Image.Image]] = []
            places = range(start, min(start + BATCH, len(images)))
            for place in places:
                image = images[place]
                try:
                    read.append((place, _decoded(image, as_shown=as_shown)))
                except UserError as error:
                    unread[place] = str(error)
                    continue
                if isinstance(image, Path) and not as_shown and (how := shown_otherwise(image)):
                    otherwise[place] = how
            if read:
                view = View(_Images([image for _, image in read]), learner.backbone, cache)
                shares = learner.logits(view.uncached(range(len(read))), classifier).float().softmax(dim=-1)
                best = shares.topk(min(top, len(classes)), dim=-1)
                for (place, _), values, labels in zip(read, best.values.tolist(), best.indices.tolist(), strict=True):
                    for rank, (value, label) in enumerate(zip(values, labels, strict=True), start=1):
                        guesses.append(Guess(place, rank, label, classes.names[label], value))
            advance(len(places))
    return Classified(guesses, unread, otherwise)


def _decoded(image: Path | Image.Image, *, as_shown: bool) -> Image.Image:
    if not isinstance(image, Path):
        return image.convert("RGB")
    return decode_as_shown(image) if as_shown else decode(image)
