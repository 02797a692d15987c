"""A full disk is one line, before a long download or when writing fails; other errors pass."""

import errno
from pathlib import Path

import pytest

from promptarena.benchmark.data.prepare.disk_space import DiskFullError, full_disk_reported, require_space


def test_too_little_space_is_known_before() -> None:
    require_space(Path(), 1)
    with pytest.raises(DiskFullError, match=r"are needed, .* are free"):
        require_space(Path(), 2**62)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_is_named(number: int, tmp_path: Path) -> None:
    with (
        pytest.raises(DiskFullError, match=r"2\.0 kB were still to be written"),
        full_disk_reported(tmp_path, 2000),
    ):
        raise OSError(number, "no")
    with pytest.raises(DiskFullError, match=r"is full$"), full_disk_reported(tmp_path):
        raise OSError(number, "no")


def test_another_error_passes(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), full_disk_reported(tmp_path):
        raise PermissionError(errno.EACCES, "no")
