"""Small files of the authors' in their real formats."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.io import savemat

from promptarena.benchmark.data.cards import Card

PublishedRows = list[tuple[str, int, str]]


def make_card(
    annotations: str | None, names: Sequence[str], counts: dict[str, int] | None = None, **options: Any
) -> Card:
    return Card.model_validate(
        {
            "name": "small",
            "title": "Small",
            "reader": "split_json",
            "template": "a photo of a {}.",
            "class_names": list(names),
            "licence": "none",
            "citation": "none",
            "description": "none",
            "counts": counts or {},
            "options": {"folder": "small", "split_file": "split.json", "annotations": annotations} | options,
        }
    )


def write(path: Path, *lines: str, end: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + end for line in lines).encode())


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def write_cars(folder: Path, train: PublishedRows, test: PublishedRows) -> None:
    names = dict(sorted((label, f"{name[5:]} {name[:4]}") for _, label, name in train))
    (folder / "devkit").mkdir(parents=True)
    cells = np.empty((1, len(names)), dtype=object)
    cells[0, :] = list(names.values())
    savemat(folder / "devkit" / "cars_meta.mat", {"class_names": cells})
    for file, rows in (("devkit/cars_train_annos.mat", train), ("cars_test_annos_withlabels.mat", test)):
        structures = np.empty((1, len(rows)), dtype=[(field, object) for field in ("bbox_x1", "class", "fname")])
        for index, (path, label, _) in enumerate(rows):
            structures[0, index] = (39, np.uint8(label + 1), Path(path).name)
        savemat(folder / file, {"annotations": structures})


def write_flowers(folder: Path, rows: PublishedRows) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / "imagelabels.mat", {"labels": np.array([[label + 1 for _, label, _ in rows]], dtype=np.uint8)})


def write_sun397(folder: Path, train: PublishedRows, test: PublishedRows) -> None:
    classes = dict(sorted((label, str(Path("/") / Path(path).parent)) for path, label, _ in train))
    write(folder / "ClassName.txt", *classes.values())
    write(folder / "Training_01.txt", *(f"/{path}" for path, _, _ in train))
    write(folder / "Testing_01.txt", *(f"/{path}" for path, _, _ in test))


def write_ucf101(folder: Path, train: PublishedRows, test: PublishedRows) -> None:
    lists = folder / "ucfTrainTestlist"
    names = dict(sorted((label, name.replace("_", "")) for _, label, name in train))
    write(lists / "classInd.txt", *(f"{label + 1} {name}" for label, name in names.items()), "", end="\r\n")
    for file, rows, labelled in (("trainlist01.txt", train, True), ("testlist01.txt", test, False)):
        lines = (f"{names[label]}/{Path(path).stem}.avi" + f" {label + 1}" * labelled for path, label, _ in rows)
        write(lists / file, *lines, end="\r\n")


classes = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12)), max_size=6)
