"""What a reader of a dataset returns, and where it searches for files."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import expanded, is_missing
from promptarena.benchmark.data.cards import Card, SplitName
from promptarena.benchmark.data.images import ImageStore

DATA_VARIABLE = "PROMPTARENA_DATA"
"""The environment variable that names the folder of the public datasets when `--root` is not given."""


class MissingDataError(UserError):
    """The dataset is not on this machine, or its folder was not named."""


@dataclass(frozen=True)
class Listing:
    """What a reader found: `keys` and `labels` of N images, the class names by label, and how to open the images.

    A key identifies an image: a path relative to the images' folder (`/` between parts), or for a rendered image a name
    that also decides its pixels. `own_split` says that promptarena divided the images into train, val and test.
    """

    keys: tuple[str, ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]
    open_images: Callable[[], ImageStore]
    own_split: bool = False


@dataclass(frozen=True)
class Reader:
    """How one layout of datasets on disk is read.

    Args:
        name: What a card's `reader` calls it.
        read: Lists a split of a card, given the folder of the public datasets.
        place: Its position in listings; readers with equal positions are sorted by name.
    """

    name: str
    read: Callable[[Card, SplitName, Path | None], Listing]
    place: int = 100


class Options(BaseModel):
    """The base of a reader's [options]."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def data_root(card: Card, root: Path | None) -> Path:
    """The folder of the public datasets: `root`, else DATA_VARIABLE. Raises MissingDataError when neither is given."""
    named = root or (Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None)
    if named is None:
        raise MissingDataError(
            f"dataset {card.name!r} is read from files: name the folder of all datasets with --root "
            f"or the environment variable {DATA_VARIABLE}"
        )
    return expanded(named)


def image_folder(card: Card, folder: str, root: Path | None) -> Path:
    """Where a card's files are: `folder` under the data root for a built-in card, beside the card for a user's own."""
    path = expanded(folder)
    path = data_root(card, root) / path if card.built_in and not path.is_absolute() else card.path.parent / path
    if is_missing(path):
        prepared = card.built_in and card.sources
        what = f"run: promptarena datasets prepare {card.name}" if prepared else "put the images there"
        raise MissingDataError(f"dataset {card.name!r}: folder {path} does not exist; {what} (see {card.path})")
    if not path.is_dir():
        raise UserError(f"dataset {card.name!r}: {path} is not a folder (see {card.path})")
    return path
