"""Builds ImageNet's folders from the three archives of ILSVRC 2012 that image-net.org provides."""

import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath

from promptarena.benchmark.data.prepare.archives import (
    DamagedArchiveError,
    Unpacker,
    UnpackError,
    damage_reported,
    is_dropping,
)
from promptarena.benchmark.data.prepare.progress import Progress, Step

TRAIN = "ILSVRC2012_img_train.tar"
VAL = "ILSVRC2012_img_val.tar"
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"

_CLASS_ARCHIVE = re.compile(r"(n\d{8})\.tar")
_VAL_PICTURE = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG")
_TRUTH = "data/ILSVRC2012_validation_ground_truth.txt"
_META = "data/meta.mat"
_DEVKIT_LIMIT = 64 << 20


def build_imagenet(files: Mapping[str, Path], folder: Path, progress: Progress) -> None:
    """Write `images/train/<wnid>/` and `images/val/<wnid>/`.

    The images of a class are written directly from the inner archive. Validation images have no class folders; the list
    in the development kit gives their classes.

    Args:
        files: The three archives by the names above.
        folder: Where to write.
        progress: Called with the bytes that are done.

    Raises:
        UnpackError: An archive is damaged or unsafe; the message names it.
        DiskFullError: The disk is full.
        OSError: A file cannot be read or written.
    """
    with _naming(DEVKIT):
        wnids, truth = _read_devkit(files[DEVKIT])
    unpacker = Unpacker(folder, files[TRAIN].stat().st_size + files[VAL].stat().st_size)
    parts = {
        TRAIN: _add_train(files[TRAIN], set(wnids.values()), unpacker),
        VAL: _add_val(files[VAL], [wnids[number] for number in truth], unpacker),
    }
    for name, part in parts.items():
        with _naming(name):
            for done in part:
                progress(Step("build", name, done, files[name].stat().st_size))


def _add_train(archive: Path, wnids: set[str], unpacker: Unpacker) -> Iterator[int]:
    """Write the training images; yields the bytes of the archive that are done."""
    missing = set(wnids)
    with tarfile.open(archive) as outer:
        for packed in outer:
            if is_dropping(packed.name) or packed.isdir():
                continue
            found = _CLASS_ARCHIVE.fullmatch(PurePosixPath(packed.name).name)
            content = outer.extractfile(packed)
            if found is None or found[1] not in wnids or content is None:
                raise DamagedArchiveError(f"its member {packed.name!r} is no archive of a class of {DEVKIT}")
            missing.discard(found[1])
            with tarfile.open(fileobj=content) as inner:
                for member in inner:
                    if member.isreg() and not is_dropping(member.name) and (image := inner.extractfile(member)):
                        unpacker.add_file(f"images/train/{found[1]}/{PurePosixPath(member.name).name}", image)
            yield packed.offset_data + packed.size
    if missing:
        raise DamagedArchiveError(f"it lacks {len(missing)} of {len(wnids)} classes, {min(missing)} first")


def _add_val(archive: Path, wnid_of: list[str], unpacker: Unpacker) -> Iterator[int]:
    """Write the validation images; yields the bytes that are done. `wnid_of`: the class of each image, in order."""
    done = 0
    with tarfile.open(archive) as packed:
        for member in packed:
            if is_dropping(member.name) or member.isdir():
                continue
            name = PurePosixPath(member.name).name
            found = _VAL_PICTURE.fullmatch(name)
            image = packed.extractfile(member)
            if found is None or image is None or not 1 <= int(found[1]) <= len(wnid_of):
                raise DamagedArchiveError(f"its member {member.name!r} is none of the {len(wnid_of)} of {DEVKIT}")
            unpacker.add_file(f"images/val/{wnid_of[int(found[1]) - 1]}/{name}", image)
            done += 1
            yield member.offset_data + member.size
    if done != len(wnid_of):
        raise DamagedArchiveError(f"it holds {done} images, but {DEVKIT} lists {len(wnid_of)}")


def _read_devkit(archive: Path) -> tuple[dict[int, str], list[int]]:
    """The wnid of every class by its number, and the class numbers of the validation images, in order."""
    found: dict[str, bytes] = {}
    with tarfile.open(archive) as packed:
        for member in packed:
            name = next((name for name in (_TRUTH, _META) if f"/{member.name}".endswith(f"/{name}")), None)
            if name is not None and member.size <= _DEVKIT_LIMIT and (content := packed.extractfile(member)):
                found[name] = content.read()
    if missing := {_TRUTH, _META} - set(found):
        raise DamagedArchiveError(f"it lacks {min(missing)}")
    wnids = _leaf_classes(found[_META])
    truth = [int(line) for line in found[_TRUTH].split()]
    if strange := set(truth) - set(wnids):
        raise DamagedArchiveError(f"{_TRUTH} names class {min(strange)}, which {_META} lacks")
    return wnids, truth


def _leaf_classes(meta: bytes) -> dict[int, str]:
    """The classes without sub-classes: only these have images."""
    from scipy.io import loadmat

    try:
        synsets = loadmat(BytesIO(meta))["synsets"].ravel()
        return {
            int(synset["ILSVRC2012_ID"].item()): str(synset["WNID"].item())
            for synset in synsets
            if int(synset["num_children"].item()) == 0
        }
    except (KeyError, TypeError, IndexError) as error:
        raise DamagedArchiveError(f"{_META} is not the kit's table of classes") from error


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Add the archive's name to the message of an UnpackError."""
    try:
        with damage_reported():
            yield
    except UnpackError as error:
        raise type(error)(f"{name}: {error}") from error
