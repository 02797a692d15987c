"""Prepares a public dataset: downloads, unpacks and checks it, and only then moves it into place.

In the folder of all datasets, `downloads` holds archives, `.staging` the folders in preparation, and `own_splits` the
splits that promptarena makes itself. A dataset's folder appears in one step, when it is complete; a folder that exists
already is never written to. Several processes may prepare datasets at the same time.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import SPLITS, Card
from promptarena.benchmark.data.prepare.archives import DamagedArchiveError, UnpackError, unpack
from promptarena.benchmark.data.prepare.disk_space import DiskFullError, full_disk_reported, require_space
from promptarena.benchmark.data.prepare.downloads import Downloads, FetchError
from promptarena.benchmark.data.prepare.imagenet import build_imagenet
from promptarena.benchmark.data.prepare.progress import Progress, Step, unheard
from promptarena.benchmark.data.prepare.transfers import RetryPolicy
from promptarena.benchmark.data.readers.split_json import own_split_path
from promptarena.benchmark.data.sources import Source, SourceFile, browser_address
from promptarena.benchmark.data.splits import find_split

ORIGIN_FILE = "prepared_from.txt"
"""The file in a prepared folder that says where its contents came from."""

_OWN_SPLIT_HINT = "or, for want of the split file, --own-split: its figures do not compare with published ones"

State = Literal["already there", "prepared", "incomplete"]


@dataclass(frozen=True)
class Missing:
    """A file that the user must download, and where to put it."""

    file: SourceFile
    place: Path


@dataclass(frozen=True)
class Prepared:
    """The state of a dataset after `prepare`: `lines` for the user, and the `missing` files if it is incomplete."""

    dataset: str
    state: State
    lines: tuple[str, ...]
    missing: tuple[Missing, ...] = ()


def prepare(
    card: Card,
    root: Path,
    *,
    own_split: bool = False,
    progress: Progress = unheard,
    retries: RetryPolicy | None = None,
) -> Prepared:
    """Prepare the dataset of a built-in card; after an interruption, the same call continues where it stopped.

    Args:
        card: The dataset.
        root: The folder of the public datasets.
        own_split: Whether an own split may be made when the published one cannot be downloaded.
        progress: Called while steps go on.
        retries: Time limits and repeats of downloads; None means the defaults.

    Returns:
        The state of the dataset. If it is incomplete, the lines say what is missing and where to put it.

    Raises:
        UserError: The card does not belong to the package, or its options are wrong.
    """
    folder = card.options.get("folder")
    if folder is None:
        return Prepared(card.name, "already there", (f"{card.name}: drawn by the program, nothing to prepare",))
    if not card.built_in:
        raise UserError(f"{card.path}: only datasets that come with the package are prepared; put your images there")
    work = _Preparation(card, root.expanduser().absolute(), folder, own_split, progress, retries or RetryPolicy())
    try:
        with full_disk_reported(root):
            return work.run()
    except DiskFullError as error:
        return Prepared(
            card.name,
            "incomplete",
            (f"{card.name}: {error}; downloads are kept: free space and run the same command again",),
        )
    except OSError as error:
        line = f"{card.name}: cannot read or write {error.filename or root}: {error.strerror or error}"
        return Prepared(card.name, "incomplete", (line,))


class _SourceError(Exception):
    """A source cannot provide the dataset; the message says why."""


class _Preparation:
    def __init__(
        self, card: Card, root: Path, folder: str, own_split: bool, progress: Progress, retries: RetryPolicy
    ) -> None:
        self._card = card
        self._root = root
        self._folder = folder
        self._own_split = own_split
        self._progress = progress
        self._downloads = Downloads(root / "downloads", retries, progress)
        self._staging = root / ".staging" / card.name
        self._refused: set[str] = set()

    def run(self) -> Prepared:
        if not self._place.exists():
            with self._locked():
                if not self._place.exists():
                    return self._from_sources()
        return self._as_it_is()

    @property
    def _place(self) -> Path:
        return self._root / self._folder

    def _from_sources(self) -> Prepared:
        failures: dict[Source, str] = {}
        for without_split in (False, True) if self._own_split else (False,):
            for source in self._in_order(without_split):
                try:
                    own = self._make(source, without_split)
                except _SourceError as error:
                    failures[source] = str(error)
                    continue
                self._tidy()
                line = f"{self._card.name}: prepared in {self._place} from {source.title}{_label(own)}"
                failed = [f"  {other.title}: {reason}" for other, reason in failures.items() if other != source]
                return Prepared(self._card.name, "prepared", (line, *failed))
        return self._by_hand(failures)

    def _in_order(self, without_split: bool) -> list[Source]:
        """The sources in the card's order, but first those whose files are all downloaded already.

        `without_split`: only those with a separate split file, which an own split can replace.
        """

        def absent(source: Source) -> bool:
            return not all(self._downloads.path(file).exists() for file in source.files)

        able = [
            source for source in self._card.sources if not without_split or any(file.split for file in source.files)
        ]
        return sorted(able, key=absent)

    def _make(self, source: Source, without_split: bool) -> bool:
        """Make the dataset from one source and move it into place. Returns whether it has an own split."""
        files = [file for file in source.files if not (without_split and file.split)]
        paths = {file.name: self._fetch(file) for file in sorted(files, key=_soonest_known)}
        with ExitStack() as undone:
            undone.callback(shutil.rmtree, self._staging, ignore_errors=True)
            self._stage(source, files, paths)
            own = self._check_staged(paths.values(), without_split)
            self._put_in_place(source, own)
            undone.pop_all()
        return own

    def _fetch(self, file: SourceFile) -> Path:
        try:
            return self._downloads.fetch(file)
        except FetchError as error:
            self._refused.add(file.name)
            raise _SourceError(f"{file.name}: {error}") from error

    def _stage(self, source: Source, files: list[SourceFile], paths: dict[str, Path]) -> None:
        folder = self._staging / self._folder
        if self._staging.exists():
            shutil.rmtree(self._staging)
        folder.mkdir(parents=True)
        require_space(self._staging, sum(path.stat().st_size for path in paths.values()))
        if source.build == "imagenet":
            try:
                build_imagenet(paths, folder, self._progress)
            except UnpackError as error:
                raise _SourceError(str(error)) from error
            return
        for file in files:
            if file.is_archive:
                self._unpack(file, paths[file.name], folder)
            else:
                place = folder / file.place
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(paths[file.name], place)

    def _unpack(self, file: SourceFile, path: Path, folder: Path) -> None:
        try:
            unpack(path, folder / file.to, file.take, file.nested, self._progress)
        except UnpackError as error:
            again = ""
            if isinstance(error, DamagedArchiveError) and file.checksum is None and self._downloads.discard(file):
                again = "; the download is deleted, the same command fetches it anew"
            raise _SourceError(f"{file.name}: {error}{again}") from error

    def _check_staged(self, paths: Iterable[Path], without_split: bool) -> bool:
        try:
            if without_split:
                self._write_split(self._staging / self._folder)
            return self._check(self._staging)
        except UserError as error:
            reason = str(error).replace(f"{self._staging}{os.sep}", "")
            names = ", ".join(path.name for path in paths)
            raise _SourceError(f"unpacked, but {reason}; {names} is kept, delete it to fetch it anew") from error

    def _put_in_place(self, source: Source, own_split: bool) -> None:
        staged = self._staging / self._folder
        (staged / ORIGIN_FILE).write_text(_origin(source), encoding="utf-8")
        if own_split:
            own = own_split_path(self._card, self._root)
            own.parent.mkdir(parents=True, exist_ok=True)
            os.replace(own_split_path(self._card, self._staging), own)
        self._place.parent.mkdir(parents=True, exist_ok=True)
        staged.rename(self._place)

    def _as_it_is(self) -> Prepared:
        """The state of a folder that exists already, without writing into it."""
        try:
            own = self._check(self._root)
        except UserError as error:
            if not (self._own_split and self._lacks_split()):
                return self._unfit(str(error))
            try:
                self._write_own_split(self._place, self._root)
                own = self._check(self._root)
            except UserError as second:
                return self._unfit(str(second))
        self._tidy()
        return Prepared(self._card.name, "already there", (f"{self._card.name}: {self._place} is whole{_label(own)}",))

    def _unfit(self, problem: str) -> Prepared:
        lines = [f"{self._card.name}: {self._place} is used as it is, nothing is written into it; but {problem}"]
        missing = []
        if self._lacks_split():
            splits = {file.place: file for source in self._card.sources for file in source.files if file.split}
            missing = [Missing(file, self._place / place) for place, file in splits.items()]
            lines += [f"  {_errand(entry)}" for entry in missing]
            lines.append(f"  {_OWN_SPLIT_HINT}")
        else:
            lines.append("  complete it by hand, or move it away and run the same command again to fetch it anew")
        return Prepared(self._card.name, "incomplete", tuple(lines), tuple(missing))

    def _by_hand(self, failures: dict[Source, str]) -> Prepared:
        name = self._card.name
        if not self._card.sources:
            line = f"{name}: {self._card.path} knows no source; put the files into {self._place} by hand"
            return Prepared(name, "incomplete", (line,))
        lines = [f"{name}: not prepared", *(f"  {source.title}: {reason}" for source, reason in failures.items())]
        listed: dict[Path, Missing] = {}
        for source in self._card.sources:
            if entries := self._absent(source):
                lines.append(f"  {'or' if listed else 'by hand'}, for {source.title}:")
            for entry in entries:
                lines.append(f"    {entry.file.name}, as above" if entry.place in listed else f"    {_errand(entry)}")
                listed.setdefault(entry.place, entry)
        if listed:
            lines.append("  then run the same command again")
        if not self._own_split and any(entry.file.split for entry in listed.values()):
            lines.append(f"  {_OWN_SPLIT_HINT}")
        self._downloads.folder.mkdir(parents=True, exist_ok=True)
        return Prepared(name, "incomplete", tuple(lines), tuple(listed.values()))

    def _absent(self, source: Source) -> list[Missing]:
        places = ((file, self._downloads.path(file)) for file in source.files)
        return [Missing(file, place) for file, place in places if file.name in self._refused or not place.exists()]

    def _check(self, root: Path) -> bool:
        """Whether the dataset in `root` has an own split. Raises UserError when it does not fit its card."""
        found = [find_split(self._card, split, root) for split in SPLITS]
        return any(split.own_split for split in found if split is not None)

    def _lacks_split(self) -> bool:
        """Whether there is neither the published split nor an own one."""
        options = self._card.options
        return "split_file" in options and not (
            (self._place / options["split_file"]).exists() or own_split_path(self._card, self._root).exists()
        )

    def _write_split(self, folder: Path) -> None:
        """Rebuild the published split if the dataset's own files allow it, else make an own split."""
        from promptarena.benchmark.data.prepare.rebuilt_splits import rebuild_split

        published = rebuild_split(self._card, folder)
        if published is None:
            self._write_own_split(folder, self._staging)
        else:
            (folder / self._card.options["split_file"]).write_bytes(published)

    def _write_own_split(self, folder: Path, root: Path) -> None:
        from promptarena.benchmark.data.prepare.rebuilt_splits import write_own_split

        out = own_split_path(self._card, root)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_own_split(self._card, folder, out)

    def _tidy(self) -> None:
        """Delete the downloads for this dataset, but no file that the user put there."""
        files = [file for source in self._card.sources for file in source.files]
        if self._staging.exists() or any(map(self._downloads.holds_leftovers, files)):
            for file in files:
                self._downloads.discard(file)
            shutil.rmtree(self._staging, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._staging.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._staging.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self._progress(Step("wait", self._card.name, 0, None))
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def _soonest_known(file: SourceFile) -> tuple[bool, bool]:
    """Sort key: first files that the user must provide, then the split, so that failures show before long downloads."""
    return bool(file.urls), not file.split


def _label(own: bool) -> str:
    return ", with a split made here: its figures do not compare with published ones" if own else ""


def _errand(missing: Missing) -> str:
    file = missing.file
    where = " or ".join(map(browser_address, file.urls))
    ways = "; ".join(filter(None, (where and f"from {where}", " ".join((file.by_hand or "").split()))))
    checksum = f" ({file.checksum})" if file.checksum else ""
    return f"{file.name}{checksum} -> {missing.place}: {ways}"


def _origin(source: Source) -> str:
    lines = [f"prepared by promptarena from: {source.title}"]
    for file in source.files:
        lines.append(f"{file.name}\t{file.checksum or 'no checksum known'}\t{' '.join(file.urls)}".rstrip())
    return "\n".join(lines) + "\n"
