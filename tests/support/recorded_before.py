"""A comparison recorded once and kept: what it must still give, and how it is made again.

python tests/support/recorded_before.py [--tables]
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from e2e_command import run, succeed
from e2e_world import make_world

FOLDER = Path(__file__).parents[1] / "recorded_before"
EXPORT = FOLDER / "export"
FORMATS = ("rich", "md", "latex", "html", "csv", "json")
EPOCHS = 3
SEEDS = (1, 2)
ARGUMENTS = (
    *("--methods", "zeroshot", "linear-probe", "coop", "maple"),
    *("--protocols", "base-to-novel", "cross-dataset", "domain-generalization", "few-shot"),
)


def suite(folder: Path) -> Path:
    """The suite that was compared; its images and cards are written into the folder."""
    return make_world(folder, epochs=EPOCHS, seeds=SEEDS)


def tables(suite_file: Path, format_name: str, folder: Path) -> str:
    """The leaderboards of the kept runs as text."""
    arguments = ("leaderboard", suite_file, "--from", EXPORT, "--statistics", "--format", format_name)
    return succeed(*arguments, cwd=folder).out


def main() -> None:
    """Make the folder again by the present code; with --tables only the tables, from the runs that are kept."""
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        world = suite(here / "world")
        os.environ["PROMPTARENA_CACHE"] = str(here / "cache")
        if "--tables" not in sys.argv:
            print(run("compare", world, *ARGUMENTS, cwd=here).out)
            shutil.rmtree(EXPORT, ignore_errors=True)
            succeed("export", world, "--out", EXPORT, cwd=here)
        for format_name in FORMATS:
            (FOLDER / f"tables.{format_name}.txt").write_text(tables(world, format_name, here))


if __name__ == "__main__":
    main()
