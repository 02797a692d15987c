"""Commands answer at once: what they need not, they do not import. Imports are counted, not seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

SLOW = {"torch", "torchvision", "open_clip", "transformers", "mlflow", "matplotlib", "sklearn", "scipy.stats", "pandas"}
LOOK = """
import sys
sys.argv = ["promptarena", *sys.argv[1:]]
from promptarena.benchmark.cli.main import main
try:
    main()
except SystemExit as ended:
    print("imported:", ended.code or 0, *sorted(sys.modules))
"""


def imported(*words: str, cwd: Path) -> tuple[int, set[str]]:
    """The exit code of a command, and which of the slow modules it imported."""
    ended = subprocess.run([sys.executable, "-c", LOOK, *words], cwd=cwd, capture_output=True, text=True, check=True)
    code, *modules = ended.stdout.splitlines()[-1].removeprefix("imported:").split()
    return int(code), SLOW & set(modules)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("compar", 2),
        ("--help", 0),
        ("--version", 0),
        ("compare --help", 0),
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
def test_what_needs_no_figures_imports_nothing_slow(words: str, code: int, tmp_path: Path) -> None:
    assert imported(*words.split(), cwd=tmp_path) == (code, set())


@pytest.mark.parametrize("words", ["leaderboard", "report", "export --out e", "import e", "published list"])
def test_results_are_read_without_torch(words: str, tmp_path: Path) -> None:
    _, modules = imported(*words.split(), cwd=tmp_path)
    assert not modules & {"torch", "torchvision", "open_clip", "transformers"}
