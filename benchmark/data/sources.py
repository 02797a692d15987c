"""Where a dataset's files can be downloaded and how its folder is made of them: the `[[sources]]` of a card.

docs/prepare.md describes the fields.
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
"""The endings of file names that are unpacked."""

TOP_FOLDER = "*"
"""As `take`: the only folder at the top of the archive, whatever its name."""

Builder = Literal["imagenet"]

_WEB = re.compile(r"https?://[^\s/]+/\S*")
_DRIVE = re.compile(r"gdrive:([\w-]+)")
_HUB = re.compile(r"hf:(?P<kind>datasets/)?(?P<repository>[\w.-]+/[\w.-]+)@(?P<revision>[^\s@/]+)/(?P<path>[^\s@]+)")


@dataclass(frozen=True)
class HubFile:
    """A file of a model or dataset repository on the Hugging Face Hub."""

    repository: str
    kind: Literal["model", "dataset"]
    revision: str
    path: str


def hub_file(url: str) -> HubFile | None:
    """The file that an `hf:` address names; None for another address."""
    found = _HUB.fullmatch(url)
    if found is None:
        return None
    return HubFile(found["repository"], "dataset" if found["kind"] else "model", found["revision"], found["path"])


def drive_file(url: str) -> str | None:
    """The file id that a `gdrive:` address names; None for another address."""
    found = _DRIVE.fullmatch(url)
    return None if found is None else found[1]


def browser_address(url: str) -> str:
    """The address to open in a browser."""
    if drive := drive_file(url):
        return f"https://drive.google.com/file/d/{drive}/view"
    if hub := hub_file(url):
        kind = "datasets/" if hub.kind == "dataset" else ""
        return f"https://huggingface.co/{kind}{hub.repository}/resolve/{hub.revision}/{hub.path}"
    return url


def stays_inside(path: str) -> bool:
    """Whether a path with `/` between its parts is relative and stays inside its folder on every operating system."""
    windows = PureWindowsPath(path)
    return not (path.startswith("/") or windows.anchor or ".." in windows.parts or "\0" in path)


def is_archive(name: str) -> bool:
    """Whether a file of this name is unpacked."""
    return name.endswith(ARCHIVES)


def _url(url: str) -> str:
    hub = hub_file(url)
    if not (_WEB.fullmatch(url) or drive_file(url) or hub):
        raise ValueError(
            "must be https://…, http://…, gdrive:FILE_ID, hf:OWNER/REPO@REVISION/PATH "
            "or hf:datasets/OWNER/REPO@REVISION/PATH"
        )
    if hub and not stays_inside(hub.path):
        raise ValueError("must name a file inside the repository")
    return url


def _file_name(name: str) -> str:
    if PureWindowsPath(name).name != name or not stays_inside(name) or name.startswith("."):
        raise ValueError("must be the name of a file, without folders and without a dot at its beginning")
    return name


def _inner_path(path: str) -> str:
    if not stays_inside(path) or "\\" in path or str(PurePosixPath(path or ".")) != (path or "."):
        raise ValueError("must be a plain relative path, such as 'images' or 'data/images'")
    return path


Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
FileName = Annotated[Text, AfterValidator(_file_name)]
InnerPath = Annotated[str, AfterValidator(_inner_path)]
Url = Annotated[str, AfterValidator(_url)]
Checksum = Annotated[str, StringConstraints(pattern=r"^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})$")]


class SourceFile(BaseModel):
    """One file to download.

    `name` is its name in the folder of downloads. `urls` are tried in order; `checksum` (`md5:…` or `sha256:…`) decides
    whether the download is the right file. `by_hand` says how the user gets the file when no address serves it.

    Of an archive, the contents of its folder `take` (`""`: everything, `"*"`: the only folder at its top) go into the
    dataset's folder `to`; each archive in `nested`, a path inside `to`, is then unpacked into its own folder. A file
    that is no archive goes to the path `to` in the dataset's folder (`""`: its own name, at the top). `split` marks the
    published split, which an own split can replace.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: FileName
    urls: tuple[Url, ...] = ()
    checksum: Checksum | None = None
    take: InnerPath = ""
    to: InnerPath = ""
    nested: tuple[InnerPath, ...] = ()
    by_hand: Text | None = None
    split: bool = Field(default=False, strict=True)

    @property
    def is_archive(self) -> bool:
        """Whether the file is unpacked rather than copied."""
        return is_archive(self.name)

    @property
    def place(self) -> str:
        """For a file that is no archive: its path in the dataset's folder."""
        return self.to or self.name

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.urls and self.by_hand is None:
            raise ValueError(f"{self.name}: give urls, or say in by_hand how a person gets the file")
        if len(set(self.urls)) < len(self.urls):
            raise ValueError(f"{self.name}: urls name an address twice")
        if not self.is_archive and (self.take or self.nested):
            raise ValueError(f"{self.name}: take and nested are for archives ({', '.join(ARCHIVES)})")
        if self.is_archive and self.split:
            raise ValueError(f"{self.name}: split marks the split file itself, not an archive")
        if strange := [path for path in self.nested if not is_archive(path)]:
            raise ValueError(f"{self.name}: nested names {strange[0]!r}, which is no archive ({', '.join(ARCHIVES)})")
        return self


class Source(BaseModel):
    """One source of the whole dataset. With `build`, a builder creates the folders from the downloaded `files`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Text
    files: Annotated[tuple[SourceFile, ...], Field(min_length=1)]
    build: Builder | None = None

    @model_validator(mode="after")
    def _files_fit_together(self) -> Self:
        names = Counter(file.name for file in self.files)
        places = Counter(file.place for file in self.files if not file.is_archive)
        for what, counted in (("name", names), ("to", places)):
            if twice := [value for value, times in counted.items() if times > 1]:
                raise ValueError(f"two files have the same {what}, {twice[0]!r}")
        if sum(file.split for file in self.files) > 1:
            raise ValueError("more than one file is marked as the split")
        if self.build and any(file.take or file.to or file.nested or file.split for file in self.files):
            raise ValueError("with build, the builder places the files; leave out take, to, nested and split")
        return self


def _one_file_per_name(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    known: dict[str, SourceFile] = {}
    for file in (file for source in sources for file in source.files):
        other = known.setdefault(file.name, file)
        if (other.urls, other.checksum) != (file.urls, file.checksum):
            raise ValueError(
                f"two sources call different files {file.name!r}; downloads share one folder, so rename one of them"
            )
    return sources


Sources = Annotated[tuple[Source, ...], AfterValidator(_one_file_per_name)]
"""A card's sources, in the order they are tried. A file name means the same file in all of them."""
