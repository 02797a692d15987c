"""Commands answer at once: what they need not, they do not import. Imports are counted, not seconds."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from e2e_command import environment, succeed

SLOW = {
    *("matplotlib", "mlflow", "open_clip", "pandas", "scipy.stats", "sentence_transformers", "sklearn", "torch"),
    *("torchvision", "transformers"),
}
READING = {"pandas", "scipy.stats"}
SMALL = "--methods zeroshot --datasets digits flags --protocols base-to-novel"
LOOK = """
import json, os, sys, traceback
from promptarena.benchmark.cli.main import main
for line in sys.stdin:
    words, folder = json.loads(line)
    if os.fork():
        os.wait()
        continue
    code = 1
    try:
        os.chdir(folder)
        sys.argv = ["promptarena", *words]
        main()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
    print("imported:", code, *sorted(sys.modules), flush=True)
    os._exit(0)
"""
"""A process that has imported the command line and nothing else; it forks once for each command."""


class Imported(NamedTuple):
    """What a command did, and which of the slow modules it imported."""

    code: int
    slow: set[str]
    out: str


Look = Callable[[str, Path], Imported]


@pytest.fixture(scope="module")
def look() -> Iterator[Look]:
    """Gives a command in a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOOK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    )
    assert process.stdin
    assert process.stdout
    asked, answers = process.stdin, process.stdout

    def ask(words: str, folder: Path) -> Imported:
        asked.write(f"{json.dumps([words.split(), str(folder)])}\n")
        asked.flush()
        *out, last = iter_until(answers, "imported:")
        code, *modules = last.removeprefix("imported:").split()
        return Imported(int(code), SLOW & set(modules), "".join(out))

    yield ask
    process.communicate()


def iter_until(lines: Iterable[str], start: str) -> Iterator[str]:
    """The lines until one that starts so, which is the last."""
    for line in lines:
        yield line
        if line.startswith(start):
            return


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("compar", 2),
        ("", 0),
        ("--help", 0),
        ("--version", 0),
        ("compare --help", 0),
        ("methods --help", 0),
        ("methods list", 0),
        ("methods show coop", 0),
        ("methods show coopp", 2),
        ("methods new my-method", 0),
        ("datasets list", 0),
        ("compare --protocols base-to-nowhere", 2),
        ("compare --methods coopp", 2),
        ("compare nosuchsuite", 2),
        ("leaderboard --format cvs", 2),
    ],
)
def test_what_needs_no_figures_imports_nothing_slow(words: str, code: int, look: Look, tmp_path: Path) -> None:
    imported = look(words, tmp_path)
    assert (imported.code, imported.slow) == (code, set())
    assert ("Usage: promptarena" in imported.out) == (not words or words.endswith("--help"))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the record of a small comparison, and its export."""
    folder = tmp_path_factory.mktemp("recorded")
    succeed("compare", *SMALL.split(), "--workers", "1", cwd=folder)
    succeed("export", "--out", "exported", cwd=folder)
    return folder


@pytest.mark.parametrize(
    ("words", "slow"),
    [
        (f"compare {SMALL} --plan", set()),
        (f"compare {SMALL}", READING),
        ("leaderboard", READING),
        ("leaderboard --from exported", READING),
        ("export --out another", set()),
        ("report", READING | {"matplotlib"}),
        ("import exported", READING),
        ("published list", {"pandas"}),
    ],
)
def test_what_is_recorded_is_read_without_torch_and_mlflow(
    words: str, slow: set[str], look: Look, recorded: Path
) -> None:
    imported = look(words, recorded)
    assert imported.code == 0
    assert imported.slow <= slow
