"""Dataset cards: one TOML file per dataset with its layout, its class names and its expected number of images.

A new dataset in a known layout needs a new card and no code. docs/datasets.md describes the fields.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints, field_validator

from promptarena.benchmark.core.config_files import Text, check, read_lines, read_toml
from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.core.paths import DATASETS
from promptarena.benchmark.data.class_names import check_class_names, readable
from promptarena.benchmark.data.sources import Sources

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")

_CARDS = DATASETS / "cards"
_DESCRIPTIVE = {"title", "mirrors", "licence", "citation", "description", "sources", "class_folders"}


class Card(BaseModel):
    """The description of one dataset.

    `name` equals the file's stem. `template` is the zero-shot prompt, with `{}` for the class name. `class_names` are
    in label order with spaces in place of `_`; empty means that the reader takes them from the data. A card's file may
    instead name a text file of them (`class_file`), which may also give the folder of each class (`class_folders`).
    `counts` are the expected images per split: a split that is left out does not exist; without counts nothing is
    checked. `reader` names a reader in the folder `readers`; `options` is that reader's own table. `mirrors` names the
    public dataset that a miniature replaces. `sources` say where the files can be downloaded, in order of preference.
    `exif_rotation` turns photographs as their EXIF orientation says; the field's code does not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]+$")]
    title: Text
    mirrors: Text | None = None
    reader: str
    template: str
    class_names: tuple[Text, ...] = ()
    class_folders: tuple[Text, ...] = ()
    licence: str = ""
    citation: str = ""
    description: str = ""
    counts: dict[SplitName, Annotated[int, Field(ge=1, strict=True)]] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    exif_rotation: Annotated[bool, Field(strict=True)] = False
    sources: Sources = ()

    _path: Path = PrivateAttr(default=Path())

    @property
    def path(self) -> Path:
        """The file the card was read from."""
        return self._path

    def at(self, path: Path) -> "Card":
        """The same card as read from this file; relative paths in it are relative to the file's folder."""
        card = self.model_copy()
        card._path = path
        return card

    @property
    def built_in(self) -> bool:
        """Whether the card belongs to the package, so that its images are searched under the data root."""
        return self._path.resolve().parent == _CARDS

    @property
    def digest(self) -> str:
        """SHA-256 of the fields that decide results and are not in a split's digest: no title, licence or sources."""
        # `exif_rotation` enters only where it is set: otherwise every run recorded before it existed would run again.
        left_out = _DESCRIPTIVE if self.exif_rotation else _DESCRIPTIVE | {"exif_rotation"}
        return digest(self.model_dump(mode="json", exclude=left_out))

    def has_split(self, split: SplitName) -> bool:
        """Whether the card has the split; True without counts, since then only the data decides."""
        return not self.counts or split in self.counts

    @field_validator("reader", mode="before")
    @classmethod
    def _known(cls, name: object) -> object:
        from promptarena.benchmark.data.readers.registry import all_readers  # imported here: it imports this file

        names = tuple(all_readers())
        if name not in names:
            *first, last = map(repr, names)
            raise ValueError(f"input should be {', '.join(first)} or {last}")
        return name

    @field_validator("template")
    @classmethod
    def _one_blank(cls, template: str) -> str:
        if template.count("{}") != 1 or re.search(r"[{}]", template.replace("{}", "")):
            raise ValueError("must hold exactly one {} and no other brace, for example 'a photo of a {}.'")
        return template

    @field_validator("class_names")
    @classmethod
    def _spaced(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(names) == 1:
            raise ValueError("must be left out or name at least two classes")
        check_class_names(names)
        return tuple(readable(name) for name in names)

    @field_validator("class_folders")
    @classmethod
    def _distinct(cls, folders: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(folders)) < len(folders):
            raise ValueError("name a folder twice")
        return folders


def load_card(name_or_path: str | Path) -> Card:
    """Load a card.

    Args:
        name_or_path: The name of a built-in card, or the path of a `.toml` file.

    Returns:
        The checked card.

    Raises:
        UserError: The name is unknown (similar ones are suggested), the file cannot be read, or a field is wrong.
    """
    if not names_a_file(name_or_path):
        name = str(name_or_path)
        if name not in list_cards():
            raise unknown("dataset", name, list_cards())
        return _read(_CARDS / f"{name}.toml")
    return _read(Path(name_or_path).absolute())


def list_cards() -> tuple[str, ...]:
    """The names of the built-in cards, sorted."""
    return tuple(sorted(path.stem for path in _CARDS.glob("*.toml")))


def names_a_file(name_or_path: str | Path) -> bool:
    """Whether this is the path of a TOML file rather than a built-in name."""
    return isinstance(name_or_path, Path) or name_or_path.endswith(".toml")


def _read(path: Path) -> Card:
    table = read_toml(path)
    if "class_file" in table:
        table |= _read_classes(path, table.pop("class_file"), table)
    card = check(str(path), table, Card)
    if card.name != path.stem:
        raise UserError(f"{path}: field 'name' is {card.name!r}, but the file is called {path.stem!r}; make them equal")
    return card.at(path)


def _read_classes(path: Path, class_file: object, table: dict[str, Any]) -> dict[str, list[str]]:
    """`class_names` and `class_folders` from a text file: a class per line in label order, NAME or FOLDER<tab>NAME."""
    if not isinstance(class_file, str):
        raise UserError(f"{path}: field 'class_file' must be the path of a text file")
    if given := {"class_names", "class_folders"} & set(table):
        raise UserError(f"{path}: give either class_file or {given.pop()}")
    source = path.parent / class_file
    rows = [line.split("\t") for line in read_lines(source)]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]) or len(row) > 2 or not all(cell.strip() for cell in row):
            raise UserError(f"{source}: line {number} must be {'FOLDER<tab>NAME' if len(rows[0]) > 1 else 'a name'}")
    folders = {"class_folders": [row[0] for row in rows]} if rows and len(rows[0]) > 1 else {}
    return {"class_names": [row[-1] for row in rows]} | folders
