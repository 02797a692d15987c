"""A copy of this repository in which code can be changed."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def copy_into(folder: Path) -> Path:
    """Copy all tracked files.

    Args:
        folder: Where the copy is made; on PYTHONPATH, it is where the package is imported from.

    Returns:
        The copy's root, `promptarena` in `folder`.
    """
    copy = folder / "promptarena"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for file in filter(None, listed.split("\0")):
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, copy / file)
    return copy


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """The variables with which Python imports the package from a copy in `folder`, and others."""
    return os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"} | variables


def replace_once(path: Path, old: str, new: str) -> str:
    """Replace a passage that a file has exactly once.

    Args:
        path: The file.
        old: The passage.
        new: What replaces it.

    Returns:
        The file's text before.

    Raises:
        SystemExit: The file does not have the passage once.
    """
    before = path.read_text()
    if before.count(old) != 1:
        raise SystemExit(f"{path} has {old!r} {before.count(old)} times, not once")
    path.write_text(before.replace(old, new))
    return before
