"""ImageNet's builder, on archives of three classes."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ilsvrc import IDS, INNER, TRAIN_FILES, TRUTH, VAL_FILES, archives, meta, tar
from scipy.io import savemat

from promptarena.benchmark.data.prepare.archives import DamagedArchiveError, UnpackError, UnsafeArchiveError
from promptarena.benchmark.data.prepare.imagenet import DEVKIT, TRAIN, VAL, build_imagenet
from promptarena.benchmark.data.prepare.progress import Step, unheard


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_pictures_go_to_the_folders_of_their_classes(tmp_path: Path) -> None:
    build_imagenet(archives(tmp_path), tmp_path / "imagenet", unheard)
    wnids = {number: wnid for wnid, number in IDS.items()}
    assert tree(tmp_path / "imagenet") == {
        f"images/train/{wnid}/{name}": content for wnid, files in TRAIN_FILES.items() for name, content in files.items()
    } | {f"images/val/{wnids[number]}/{name}": VAL_FILES[name] for number, name in zip(TRUTH, VAL_FILES, strict=True)}


def test_the_order_inside_the_archives_does_not_matter(tmp_path: Path) -> None:
    build_imagenet(archives(tmp_path), tmp_path / "a", unheard)
    turned = {f"{wnid}.tar": tar(dict(reversed(files.items()))) for wnid, files in reversed(TRAIN_FILES.items())}
    build_imagenet(archives(tmp_path, train=turned, val=dict(reversed(VAL_FILES.items()))), tmp_path / "b", unheard)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_inner_archives_are_not_written_to_the_disk(tmp_path: Path) -> None:
    build_imagenet(archives(tmp_path), tmp_path / "imagenet", unheard)
    assert {path.suffix for path in (tmp_path / "imagenet").rglob("*") if path.is_file()} == {".JPEG"}


def test_progress_goes_through_both_archives_to_their_ends(tmp_path: Path) -> None:
    steps: list[Step] = []
    files = archives(tmp_path)
    build_imagenet(files, tmp_path / "imagenet", steps.append)
    for name in (TRAIN, VAL):
        done = [step.done for step in steps if step.name == name]
        assert done == sorted(done)
        assert 0 < done[-1] <= files[name].stat().st_size
        assert {(step.kind, step.total) for step in steps if step.name == name} == {
            ("build", files[name].stat().st_size)
        }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": {"n01440764.tar": tar({"a.JPEG": b"1"})}}, f"{TRAIN}: it lacks 2 of 3 classes, n01443537 first"),
        ({"train": {"n00000001.tar": tar({})}}, f"{TRAIN}: its member 'n00000001.tar' is no archive of a class"),
        ({"train": {"notes.txt": b"x"}}, f"{TRAIN}: its member 'notes.txt' is no archive of a class"),
        ({"train": {"n01440764.tar": b"no tar" * 200}}, f"{TRAIN}: it is damaged or cut off"),
        ({"val": {}}, f"{VAL}: it holds 0 images, but {DEVKIT} lists 4"),
        ({"val": dict(list(VAL_FILES.items())[:3])}, f"{VAL}: it holds 3 images, but {DEVKIT} lists 4"),
        ({"val": VAL_FILES | {"ILSVRC2012_val_00000005.JPEG": b""}}, "is none of the 4 of"),
        ({"val": VAL_FILES | {"ILSVRC2012_val_00000000.JPEG": b""}}, "is none of the 4 of"),
        ({"val": {"x.JPEG": b""}}, "is none of the 4 of"),
        ({"truth": [1, 2, 3, 4]}, f"{DEVKIT}: data/ILSVRC2012_validation_ground_truth.txt names class 4"),
        ({"kit": {"data/meta.mat": meta(IDS, INNER)}}, f"{DEVKIT}: it lacks data/ILSVRC2012_validation_ground_truth"),
        ({"kit": {"data/ILSVRC2012_validation_ground_truth.txt": b"1"}}, f"{DEVKIT}: it lacks data/meta.mat"),
        (
            {"kit": {"data/ILSVRC2012_validation_ground_truth.txt": b"1", "data/meta.mat": b"no table" * 100}},
            f"{DEVKIT}: it is damaged or cut off",
        ),
        (
            {"kit": {"data/ILSVRC2012_validation_ground_truth.txt": b"one", "data/meta.mat": meta(IDS, INNER)}},
            f"{DEVKIT}: it is damaged or cut off",
        ),
    ],
)
def test_what_does_not_fit_is_reported_with_its_archive(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DamagedArchiveError) as error:
        build_imagenet(archives(tmp_path, **changes), tmp_path / "imagenet", unheard)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_another_table_than_the_kits_is_reported(tmp_path: Path) -> None:
    other = io.BytesIO()
    savemat(other, {"labels": np.zeros(3)})
    kit = {"data/ILSVRC2012_validation_ground_truth.txt": b"1", "data/meta.mat": other.getvalue()}
    with pytest.raises(DamagedArchiveError, match=r"data/meta\.mat is not the kit's table of classes"):
        build_imagenet(archives(tmp_path, kit=kit), tmp_path / "imagenet", unheard)


@pytest.mark.parametrize("name", [TRAIN, VAL, DEVKIT])
def test_an_archive_that_is_cut_off_is_reported(tmp_path: Path, name: str) -> None:
    files = archives(tmp_path)
    content = files[name].read_bytes()
    files[name].write_bytes(content[: len(content) // 3])
    with pytest.raises(UnpackError, match=name):
        build_imagenet(files, tmp_path / "imagenet", unheard)


def test_names_in_the_archives_cannot_lead_out(tmp_path: Path) -> None:
    train = {f"../x/{wnid}.tar": tar({f"../../{name}": b"1" for name in files}) for wnid, files in TRAIN_FILES.items()}
    build_imagenet(archives(tmp_path, train=train), tmp_path / "in" / "imagenet", unheard)
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["imagenet"]
    assert len(list((tmp_path / "in" / "imagenet" / "images" / "train").rglob("*.JPEG"))) == 6


def test_class_names_in_the_kit_cannot_lead_out(tmp_path: Path) -> None:
    kit = {
        "data/ILSVRC2012_validation_ground_truth.txt": b"1\n1\n1\n1\n",
        "data/meta.mat": meta({"../../../planted": 1}, {}),
    }
    files = archives(tmp_path, kit=kit, train={})
    with pytest.raises((DamagedArchiveError, UnsafeArchiveError)):
        build_imagenet(files, tmp_path / "in" / "imagenet", unheard)
    assert not list(tmp_path.rglob("planted"))
