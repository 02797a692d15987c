"""The archives of ILSVRC 2012 in the real layout, with three classes: tars in a tar, a flat tar, the kit's lists."""

import io
import tarfile
from pathlib import Path

import numpy as np
from scipy.io import savemat

from promptarena.benchmark.data.prepare.imagenet import DEVKIT, TRAIN, VAL

IDS = {"n01440764": 3, "n01443537": 1, "n01484850": 2}
INNER = {"n00000001": 4}
TRAIN_FILES = {wnid: {f"{wnid}_{number}.JPEG": f"{wnid} {number}".encode() for number in (7, 10)} for wnid in IDS}
TRUTH = [2, 3, 1, 3]
VAL_FILES = {f"ILSVRC2012_val_{number:08}.JPEG": f"val {number}".encode() for number in (1, 2, 3, 4)}


def tar(files: dict[str, bytes], mode: str = "w") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as packed:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            packed.addfile(member, io.BytesIO(data))
    return content.getvalue()


def meta(ids: dict[str, int], inner: dict[str, int]) -> bytes:
    """synsets as in the kit: a struct array of N x 1, leaves first, then the nodes above them."""
    fields = ["ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height"]
    synsets = np.zeros((len(ids) + len(inner), 1), dtype=[(field, object) for field in fields])
    for row, (wnid, number) in enumerate((ids | inner).items()):
        children = [1.0, 2.0] if wnid in inner else []
        synsets[row, 0] = (float(number), wnid, "words", "gloss", float(len(children)), children, 0.0)
    content = io.BytesIO()
    savemat(content, {"synsets": synsets})
    return content.getvalue()


def archives(
    folder: Path,
    *,
    train: dict[str, bytes] | None = None,
    val: dict[str, bytes] = VAL_FILES,
    truth: list[int] = TRUTH,
    kit: dict[str, bytes] | None = None,
    **replaced: bytes,
) -> dict[str, Path]:
    lists = {
        "ILSVRC2012_devkit_t12/readme.txt": b"x",
        "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": "\n".join(map(str, truth)).encode()
        + b"\n",
        "ILSVRC2012_devkit_t12/data/meta.mat": meta(IDS, INNER),
    }
    contents = {
        TRAIN: tar({f"{wnid}.tar": tar(files) for wnid, files in TRAIN_FILES.items()} if train is None else train),
        VAL: tar(val),
        DEVKIT: tar(lists if kit is None else kit, "w:gz"),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}
