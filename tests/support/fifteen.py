"""All fifteen public datasets in their real layouts, minus size: a few classes, a few small pictures each.

The cards are the built-in ones with other counts, classes and digest, written for a user who keeps them beside the
datasets' folders; the suite is clip-15 with a tiny CLIP of drawn weights.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path

import odd_pictures
import tiny
from fifteen_layouts import AIRCRAFT, LAYOUTS, STEMS, WNIDS, SplitLayout
from safetensors.torch import save_file

from promptarena.benchmark.core.paths import DATASETS
from promptarena.benchmark.data.cards import SPLITS, Card, SplitName, load_card

SUITE = "fifteen"
ELEVEN = (
    "imagenet",
    "caltech101",
    "oxford_pets",
    "stanford_cars",
    "oxford_flowers",
    "food101",
    "fgvc_aircraft",
    "sun397",
    "dtd",
    "eurosat",
    "ucf101",
)
"""In the field's order."""

VARIANTS = ("imagenetv2", "imagenet-sketch", "imagenet-a", "imagenet-r")

Row = tuple[str, int, str]
"""A picture's path, label and class name."""


@dataclass(frozen=True)
class Dataset:
    """What was written: the card, the folder that the rows' paths start from, and the rows in the order listed."""

    card: Path
    pictures: Path
    class_names: tuple[str, ...]
    rows: Mapping[SplitName, Sequence[Row]]

    def tested(self, labels: range) -> int:
        """How many test pictures have one of the labels."""
        return sum(label in labels for _, label, _ in self.rows["test"])

    @property
    def halves(self) -> tuple[range, range]:
        """The labels of the base and of the novel classes."""
        classes = len(self.class_names)
        return range(-(-classes // 2)), range(-(-classes // 2), classes)


@dataclass(frozen=True)
class Fifteen:
    """The folder of all datasets, the suite in it, and what was written of each dataset."""

    root: Path
    suite: Path
    datasets: Mapping[str, Dataset]


def write_fifteen(root: Path) -> Fifteen:
    """Write the datasets, their cards, a tiny CLIP and the suite into a folder."""
    paint = _Painter()
    datasets = {name: _write_split_dataset(root, load_card(name), layout, paint) for name, layout in LAYOUTS.items()}
    datasets["fgvc_aircraft"] = _write_aircraft(root, paint)
    datasets |= _write_imagenets(root, paint)
    _write_clip(root / "clip")
    return Fifteen(root, _write_suite(root), {name: datasets[name] for name in (*ELEVEN, *VARIANTS)})


@dataclass(frozen=True)
class _Painter:
    """Writes pictures of every kind and of many sizes, one kind after the other, whatever the names say."""

    _kinds: Iterator[str] = field(default_factory=lambda: cycle(odd_pictures.KINDS))
    _numbers: Iterator[int] = field(default_factory=count)

    def __call__(self, path: Path) -> None:
        number = next(self._numbers)
        size = 20 + 7 * number % 41, 20 + 11 * number % 37
        colour = 40 * number % 256, 90 * number % 256, 150 * number % 256
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(odd_pictures.KINDS[next(self._kinds)](odd_pictures.noise(colour, size, number)))


def _amount(split: SplitName, label: int) -> int:
    """Pictures of a class: not the same for all."""
    return {"train": 3 + label % 2, "val": 1, "test": 1 + (label + 1) % 3}[split]


def _write_split_dataset(root: Path, card: Card, layout: SplitLayout, paint: _Painter) -> Dataset:
    folder = root / card.options["folder"]
    pictures = folder / card.options.get("image_dir", "")
    numbers = count(1)
    rows: dict[SplitName, list[Row]] = {}
    for split in SPLITS:
        rows[split] = []
        for label in layout.order or range(len(layout.classes)):
            pattern, name = layout.classes[label]
            for _ in range(_amount(split, label)):
                n = 37 * next(numbers) % 211
                stem = STEMS[n % len(STEMS)].format(n=n)
                part = "test" if split == "test" else "train"
                rows[split].append((pattern.format(n=n, part=part, stem=stem), label, name))
    if layout.sorted_test:
        rows["test"].sort()
    for path, _, _ in (row for split in rows.values() for row in split):
        paint(pictures / path)
    _write_texts(folder, layout.beside)
    content = json.dumps(rows, indent=4).encode()
    (folder / card.options["split_file"]).write_bytes(content)
    split_file = f"{card.options['folder']}/{card.options['split_file']}"
    names = [name for _, name in layout.classes]
    digest = hashlib.sha256(content).hexdigest()
    path = _write_card(root, card, rows, names, split_file=split_file, split_sha256=digest)
    return Dataset(path, pictures, tuple(name.replace("_", " ") for name in names), rows)


def _write_aircraft(root: Path, paint: _Painter) -> Dataset:
    card = load_card("fgvc_aircraft")
    folder = root / card.options["folder"]
    numbers = count(1)
    rows: dict[SplitName, list[Row]] = {
        split: [
            (f"{34309 + 37 * next(numbers) % 211:07}.jpg", label, name)
            for label, name in enumerate(AIRCRAFT)
            for _ in range(_amount(split, label))
        ]
        for split in SPLITS
    }
    for path, _, _ in (row for split in rows.values() for row in split):
        paint(folder / "images" / path)
    (folder / "variants.txt").write_text("".join(f"{name}\n" for name in AIRCRAFT))
    for split, listed in rows.items():
        lines = [f"{path.removesuffix('.jpg')} {name}\n" for path, _, name in listed]
        (folder / f"images_variant_{split}.txt").write_text("".join(lines))
    _write_texts(folder, ("families.txt", "images_family_train.txt", "images_box.txt"))
    return Dataset(_write_card(root, card, rows, AIRCRAFT), folder / "images", AIRCRAFT, rows)


def _write_imagenets(root: Path, paint: _Painter) -> dict[str, Dataset]:
    """ImageNet and its four variants; Sketch has ImageNet's folders, V2's are numbers."""
    public = load_card("imagenet")
    classes = {
        name: [(public.class_folders[label], public.class_names[label]) for label in labels]
        for name, labels in WNIDS.items()
    }
    classes["imagenet-sketch"] = classes["imagenet"]
    classes["imagenetv2"] = [(str(label), name) for label, (_, name) in enumerate(classes["imagenet"])]
    stems = {
        ("imagenet", "train"): "{folder}_{n}.JPEG",
        ("imagenet", "test"): "ILSVRC2012_val_{n:08}.JPEG",
        ("imagenetv2", "test"): "{n:040x}.jpeg",
        ("imagenet-sketch", "test"): "sketch_{n}.JPEG",
        ("imagenet-a", "test"): "0.{n:06}_{name} _ {name}_0.865662.jpg",
        ("imagenet-r", "test"): "tattoo_{n} #ä+.JPG",
    }
    listed: dict[str, dict[SplitName, list[Row]]] = {name: {} for name in classes}
    for (dataset, split), stem in stems.items():
        card = load_card(dataset)
        inside = card.options["splits"][split]
        numbers = count(1)
        rows = [
            (f"{inside}/{folder}/{stem.format(folder=folder, n=37 * next(numbers) % 211, name=name)}", label, name)
            for label, (folder, name) in enumerate(classes[dataset])
            for _ in range(_amount(split, label))
        ]
        for path, _, _ in rows:
            paint(root / card.options["folder"] / path)
        listed[dataset][split] = sorted(rows, key=lambda row: (row[1], row[0]))
        _write_texts(root / card.options["folder"] / inside, ("README.txt", f"{classes[dataset][0][0]}/.DS_Store"))
    _write_texts(root / "imagenet", ("classnames.txt",))
    written = {}
    for name, rows in listed.items():
        card = load_card(name)
        path = _write_card(root, card, rows, ["\t".join(both) for both in classes[name]])
        folder = root / card.options["folder"]
        written[name] = Dataset(path, folder, tuple(name for _, name in classes[name]), rows)
    return written


def _write_card(
    root: Path, card: Card, rows: Mapping[SplitName, Sequence[Row]], classes: Sequence[str], **options: str
) -> Path:
    (root / "classes").mkdir(exist_ok=True)
    (root / "classes" / f"{card.name}.txt").write_text("".join(f"{line}\n" for line in classes))
    counts = {split: len(listed) for split, listed in rows.items()}
    path = root / f"{card.name}.toml"
    path.write_text(_changed(card.path, class_file=f"classes/{card.name}.txt", **counts, **options), encoding="utf-8")
    return path


def _write_suite(root: Path) -> Path:
    text = _changed(
        DATASETS / "suites" / "clip-15.toml",
        name=SUITE,
        methods=["zeroshot", "coop"],
        shots=2,
        few_shot_shots=[2],
        seeds=[1, 2],
    )
    path = root / f"{SUITE}.toml"
    path.write_text(
        text.partition("[backbone]")[0]
        + '[backbone]\nconfig = "clip/config.json"\nweights = "clip/clip.safetensors"\n[training]\nmax_epochs = 1\n'
    )
    return path


def _write_clip(folder: Path) -> None:
    """A ViT deep enough for every method's published prompt depth, of a width that RAda's heads divide."""
    folder.mkdir()
    config = tiny.config(layers=12, image_size=32, context_length=77) | {"embed_dim": 24}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tiny.model(config).state_dict(), folder / "clip.safetensors")


def _changed(path: Path, **fields: object) -> str:
    """A built-in TOML file's text with the first line of each field replaced."""
    text = path.read_text(encoding="utf-8")
    for name, value in fields.items():
        line = f"{name} = {json.dumps(value)}"
        text, found = re.subn(rf"^{name} = .*$", lambda _, line=line: line, text, count=1, flags=re.MULTILINE)
        assert found, f"{path} has no {name}"
    return text


def _write_texts(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("not a picture\n")
