"""New records as copies of one that MLflow made: letting it make each anew takes a second or two.

Tests of how a record is made, or of commands killed while they make one, do without.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path

from promptarena.benchmark.recording import database

MADE = database.create


def copy_new_records(folder: Path) -> Callable[[], Path]:
    """From now on, records that this process and its forks make are copies of one.

    Args:
        folder: Where that one is kept.

    Returns:
        Makes it, if it was not made yet; otherwise the first record that is needed does.
    """

    @cache
    def first() -> Path:
        MADE(folder / "first.db", folder / "artifacts")
        return folder / "first.db"

    def create(file: Path, artifacts: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f"{file.name}{database.UNFINISHED}")
        for left in file.parent.glob(f"{unfinished.name}*"):  # sqlite would undo the copy by a journal that was left
            left.unlink()
        shutil.copyfile(first(), unfinished)
        with closing(sqlite3.connect(unfinished)) as connection, connection:
            old, new = (folder / "artifacts").as_uri(), artifacts.as_uri()
            connection.execute(
                "UPDATE experiments SET artifact_location = replace(artifact_location, ?, ?)", (old, new)
            )
        os.replace(unfinished, file)

    database.create = create
    return first
