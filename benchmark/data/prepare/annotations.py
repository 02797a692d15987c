"""Reads the annotation files of a dataset's authors: labels, class names, train and test.

There is one function per layout, named in a card's option `annotations`; each lists the images in the authors' order.
"""

import io
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import RootModel

from promptarena.benchmark.core.config_files import check, read_bytes, read_json_model, read_text
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import Card
from promptarena.benchmark.data.class_names import readable
from promptarena.benchmark.data.images import EXTENSIONS
from promptarena.benchmark.data.readers.split_json import Annotations, SplitJsonOptions

Part = Literal["train", "test"]


class Row(NamedTuple):
    """An image: path relative to the image folder, label from 0, class name, the authors' part (None: undivided)."""

    path: str
    label: int
    name: str
    part: Part | None = None


def read_annotations(card: Card, folder: Path) -> tuple[Row, ...]:
    """List all images of a dataset.

    Args:
        card: The dataset.
        folder: The dataset in its usual layout.

    Returns:
        The images in the authors' order; those in class folders sorted by name.

    Raises:
        UserError: A file is missing or is not the authors', or a class has another name than on the card.
    """
    options = check(f"{card.path}: [options]", card.options, SplitJsonOptions)
    if options.annotations is None:
        raise UserError(f"{card.path}: has no option 'annotations', so only the published split can be used")
    rows = tuple(_LAYOUTS[options.annotations](folder, options, card.class_names))
    for row in rows:
        if row.label not in range(len(card.class_names)) or readable(row.name) != card.class_names[row.label]:
            raise UserError(
                f"dataset {card.name!r}: the files in {folder} give {row.path!r} label {row.label} and class "
                f"{row.name!r}, which is not as in {card.path}; this is another release"
            )
    return rows


def breed(stem: str) -> str:
    """OxfordPets: "Egyptian_Mau_101" shows an "egyptian_mau"."""
    return stem.rpartition("_")[0].lower()


def year_first(model: str) -> str:
    """StanfordCars: "Audi TTS Coupe 2012" becomes "2012 Audi TTS Coupe"."""
    name, _, year = model.rpartition(" ")
    return f"{year} {name}"


def scene(folder: str) -> str:
    """SUN397: "/a/apartment_building/outdoor" becomes "outdoor apartment_building"."""
    return " ".join(reversed(folder.strip("/").split("/")[1:]))


def action(word: str) -> str:
    """UCF101: "ApplyEyeMakeup" becomes "Apply_Eye_Makeup"."""
    return re.sub(r"\B(?=[A-Z])", "_", word)


def _class_folders(folder: Path, options: SplitJsonOptions, names: Sequence[str]) -> Iterator[Row]:
    images = folder / options.image_dir
    classes = [name for name in _listed(images, os.DirEntry.is_dir) if name not in options.drop]
    if len(classes) != len(names):
        raise UserError(f"{images} holds {len(classes)} class folders, but the dataset has {len(names)} classes")
    for label, (inside, name) in enumerate(zip(classes, names, strict=True)):
        for image in _listed(images / inside, os.DirEntry.is_file):
            if os.path.splitext(image)[1].lower() in EXTENSIONS:
                yield Row(f"{inside}/{image}", label, name)


def _pets(folder: Path, options: SplitJsonOptions, names: Sequence[str]) -> Iterator[Row]:
    for part, file in _parts("trainval.txt", "test.txt"):
        for line in _lines(folder / "annotations" / file, r"(?P<stem>\S+_\d+) (?P<id>\d+) \d+ \d+"):
            yield Row(f"{line['stem']}.jpg", int(line["id"]) - 1, breed(line["stem"]), part)


def _cars(folder: Path, options: SplitJsonOptions, names: Sequence[str]) -> Iterator[Row]:
    models = dict(enumerate(_matlab(folder / "devkit" / "cars_meta.mat", "class_names"), start=1))
    for part, file in _parts("devkit/cars_train_annos.mat", "cars_test_annos_withlabels.mat"):
        for image in _matlab(folder / file, "annotations"):
            if not (isinstance(image, dict) and {"class", "fname"} <= image.keys()):
                raise UserError(f"{folder / file}: has no labels; take the authors' file that has them")
            number = int(image["class"])
            yield Row(f"cars_{part}/{image['fname']}", number - 1, year_first(models.get(number, "")), part)


def _flowers(folder: Path, options: SplitJsonOptions, names: Sequence[str]) -> Iterator[Row]:
    called = dict(enumerate(names, start=1))
    if (path := folder / "cat_to_name.json").is_file():
        called = read_json_model(path, read_bytes(path), _CategoryNames).root
    for number, category in enumerate(map(int, _matlab(folder / "imagelabels.mat", "labels")), start=1):
        yield Row(f"image_{number:05d}.jpg", category - 1, called.get(category, ""))


def _sun397(folder: Path, options: SplitJsonOptions, names: Sequence[str]) -> Iterator[Row]:
    label_of = {line[0]: label for label, line in enumerate(_lines(folder / "ClassName.txt", r"/\w/.+"))}
    for part, file in _parts("Training_01.txt", "Testing_01.txt"):
        for line in _lines(folder / file, r"(?P<class>/\w/.+)/[^/]+"):
            yield Row(line[0].removeprefix("/"), label_of.get(line["class"], -1), scene(line["class"]), part)


def _ucf101(folder: Path, options: SplitJsonOptions, names: Sequence[str]) -> Iterator[Row]:
    lists = folder / "ucfTrainTestlist"
    classes = _lines(lists / "classInd.txt", r"(?P<id>\d+) (?P<class>\w+)")
    label_of = {line["class"]: int(line["id"]) - 1 for line in classes}
    for part, file in _parts("trainlist01.txt", "testlist01.txt"):
        for line in _lines(lists / file, r"(?P<class>\w+)/(?P<clip>\w+)\.avi( \d+)?"):
            name = action(line["class"])
            yield Row(f"{name}/{line['clip']}.jpg", label_of.get(line["class"], -1), name, part)


_LAYOUTS: Mapping[Annotations, Callable[[Path, SplitJsonOptions, Sequence[str]], Iterator[Row]]] = {
    "class_folders": _class_folders,
    "pets": _pets,
    "cars": _cars,
    "flowers": _flowers,
    "sun397": _sun397,
    "ucf101": _ucf101,
}


class _CategoryNames(RootModel[dict[int, str]]):
    """Flowers102's names by category, from 1."""


def _parts(train: str, test: str) -> tuple[tuple[Part, str], ...]:
    return ("train", train), ("test", test)


def _listed(folder: Path, kind: Callable[[os.DirEntry[str]], bool]) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if kind(entry) and not entry.name.startswith("."))
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror}") from error


def _lines(path: Path, form: str) -> Iterator[re.Match[str]]:
    """The lines of a text file, each matched against `form`; empty lines are skipped."""
    for number, line in enumerate(read_text(_there(path)).splitlines(), start=1):
        found = re.fullmatch(form, line.strip())
        if found:
            yield found
        elif line.strip():
            raise UserError(f"{path}: line {number} is not as the dataset's authors write it: {line!r}")


def _matlab(path: Path, key: str) -> list[Any]:
    """A vector, a list of texts or a list of structures in a MATLAB file."""
    from scipy.io import loadmat

    content = read_bytes(_there(path))
    try:
        value = loadmat(io.BytesIO(content), simplify_cells=True)[key]
    except Exception as error:  # a damaged file makes scipy raise nearly anything
        raise UserError(f"{path}: is damaged or is not the file of the dataset's authors; replace it") from error
    return list(np.atleast_1d(value))


def _there(path: Path) -> Path:
    if not path.is_file():
        raise UserError(f"{path} does not exist; a split can be made here only from the dataset's own annotation files")
    return path
