"""Commands answer at once: what they need not, they do not import. Imports are counted, not seconds."""

import subprocess
import sys
from pathlib import Path

import pytest
from e2e_command import succeed

SLOW = {"torch", "torchvision", "open_clip", "transformers", "mlflow", "matplotlib", "sklearn", "scipy.stats", "pandas"}
READING = {"pandas", "scipy.stats"}
SMALL = "--methods zeroshot --datasets digits flags --protocols base-to-novel"
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
def test_what_is_recorded_is_read_without_torch_and_mlflow(words: str, slow: set[str], recorded: Path) -> None:
    code, modules = imported(*words.split(), cwd=recorded)
    assert code == 0
    assert modules <= slow
