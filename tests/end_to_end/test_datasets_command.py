"""The `datasets` commands as a user gives them, without any network."""

from pathlib import Path

import pytest
from e2e_command import run, succeed


def test_what_needs_an_agreement_is_reported_with_the_place_to_put_it(tmp_path: Path) -> None:
    ended = run("datasets", "prepare", "imagenet", "--root", tmp_path, cwd=tmp_path)
    assert ended.code == 2
    assert "imagenet: not prepared" in ended.out
    for name in ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz"):
        assert f"-> {tmp_path}/downloads/{name}: register at https://image-net.org" in ended.out
    assert not (tmp_path / "imagenet").exists()


def test_the_miniature_needs_no_preparing(tmp_path: Path) -> None:
    ended = succeed("datasets", "prepare", "food", "flags", "--suite", "mini", "--root", tmp_path, cwd=tmp_path)
    assert "food: drawn by the program, nothing to prepare" in ended.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("prepare", "imagenet"), "name the folder of all datasets with --root or the environment variable"),
        (("prepare", "imagnet", "--root", "."), "unknown dataset 'imagnet'; did you mean imagenet"),
        (("verify", "--suite", "clip-16"), "unknown suite 'clip-16'; did you mean clip-15"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    ended = run("datasets", *arguments, cwd=tmp_path)
    assert ended.code == 2
    assert message in ended.err
    assert ended.err.count("\n") == 1


def test_verify_tells_what_is_whole_with_counts_and_digests(tmp_path: Path) -> None:
    ended = succeed("datasets", "verify", "digits", cwd=tmp_path)
    assert ended.out.startswith("digits: whole (")
    again = succeed("datasets", "verify", "digits", cwd=tmp_path)
    assert again.out == ended.out
