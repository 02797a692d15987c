"""The user's mistakes: one line that says what is wrong, exit code 2, nothing lost."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import e2e_record
import pytest
import torch
from e2e_command import run, succeed
from e2e_inside import call, complaint
from e2e_world import MODEL, make_world


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A record that mistakes leave empty."""
    folder = tmp_path_factory.mktemp("results")
    yield folder
    assert not any(e2e_record.runs(folder, level) for level in ("comparison", "method", "run"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--methods", "cop"], "unknown method 'cop'; did you mean coop or tcp or kgcoop?"),
        (["--protocols", "base2novel"], "did you mean base-to-novel?"),
        (["--datasets", "noizy"], "unknown dataset 'noizy'; did you mean noisy?"),
        (["--set", "coop.n_cxt=4"], "did you mean n_ctx"),
        (["--set", "coop.recipe.epoch=4"], "did you mean epochs"),
        (["--set", "coop.recipe.epochs=many"], "--set coop.recipe.epochs=many: Input should be a valid integer"),
        (["--set", "coop.recipe.epochs=-1"], "--set coop.recipe.epochs=-1: Input should be greater than or equal to 0"),
        (["--set", "cop.n_ctx=4"], "did you mean coop?"),
        (["--set", "n_ctx=4"], "is not of the form METHOD.NAME=VALUE"),
        (["--set", "coop.n_ctx"], "is not of the form METHOD.NAME=VALUE"),
        (["--seeds", "-1"], "seeds must not be negative, got -1"),
        (["--seeds", "one"], "'--seeds'"),
        (["--seeds"], "Option '--seeds' requires an argument"),
        (["--methods", "--plan"], "Option '--methods' requires an argument"),
        (["--shots", "0"], "shots must be at least 1, got 0"),
        (["--workers", "0"], "'--workers'"),
        (["--precision", "fp8"], "'--precision'"),
        (["--device", "toaster"], "device 'toaster' cannot be used"),
        (["--plugin", "missing.py"], "no plugin file"),
        (["--seed", "1"], "No such option: --seed"),
    ],
)
def test_a_wrong_option(words: list[str], expected: str, suite: Path, results: Path) -> None:
    assert expected in complaint("compare", suite, "--results", results, *words)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_no_cuda(suite: Path, results: Path) -> None:
    assert complaint("compare", suite, "--results", results, "--device", "cuda").startswith("device 'cuda' cannot be ")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["mimi"], "unknown suite 'mimi'; did you mean mini?"),
        (["nowhere.toml"], "nowhere.toml: No such file or directory"),
    ],
)
def test_an_unknown_suite(words: list[str], expected: str, results: Path) -> None:
    assert expected in complaint("compare", "--results", results, *words)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('title = "A small suite"', "title = ", "is not valid TOML"),
        ("seeds =", "sedes =", "unknown field 'sedes'; did you mean 'seeds'?"),
        ('targets = ["noisy"]', 'targets = ["noisi"]', "unknown dataset 'noisi'"),
        ("mini_clip.safetensors", "other.safetensors", "no weights file"),
        ("max_epochs = 2", "max_epochs = 0", "'training.max_epochs' is 0"),
        ('name = "small"', 'name = "large"', "make them equal"),
        ("base-to-novel", "base-to-nowhere", "'protocols.0' is \"base-to-nowhere\""),
    ],
)
def test_a_wrong_suite_file(old: str, new: str, expected: str, tmp_path: Path, results: Path) -> None:
    path = make_world(tmp_path)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert expected in complaint("compare", path, "--results", results)


def test_truncated_weights(tmp_path: Path, results: Path) -> None:
    weights = tmp_path / "clip.safetensors"
    weights.write_bytes((MODEL / "mini_clip.safetensors").read_bytes()[:-1000])
    line = complaint("compare", make_world(tmp_path, weights=weights), "--results", results)
    assert f"weights file {weights} is damaged" in line


def test_pictures_that_are_not_there(tmp_path: Path, results: Path) -> None:
    path = make_world(tmp_path)
    shutil.rmtree(tmp_path / "pictures" / "faded")
    assert "dataset 'faded': folder" in complaint("compare", path, "--results", results)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def broken(:", "cannot be imported: SyntaxError"),
        ("import nowhere_to_be_found", "cannot be imported: ModuleNotFoundError"),
        ("x = 1", "defines no subclass of promptarena.plugin.Learner"),
        ("from promptarena.benchmark.plugins.learner import Learner\nclass Mine(Learner): pass", "has no `about` card"),
    ],
)
def test_a_wrong_plugin(code: str, expected: str, suite: Path, results: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(code)
    assert expected in complaint("compare", suite, "--results", results, "--plugin", plugin)


def test_results_below_a_file(suite: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    assert "cannot use the results folder" in complaint("compare", suite, "--results", tmp_path / "taken")
    assert "cannot use the results folder" in complaint("compare", suite, "--results", tmp_path / "taken" / "results")
    assert (tmp_path / "taken").read_text() == "mine"


def test_no_record_to_show(suite: Path, here: Path) -> None:
    assert "no record in" in complaint("leaderboard", suite)
    assert "no record in" in complaint("ui")
    assert not list(here.iterdir())


def test_nothing_recorded_of_what_is_asked(suite: Path, results: Path) -> None:
    call("compare", suite, "--results", results, "--plan")
    assert "nothing is recorded for suite small" in complaint("leaderboard", suite, "--results", results)
    assert "did you mean few-shot?" in complaint("leaderboard", suite, "--results", results, "--protocols", "fewshot")


def test_wrong_words(here: Path) -> None:
    assert complaint("methods", "show", "cop") == "unknown method 'cop'; did you mean coop or tcp or kgcoop?"
    assert complaint("datasets", "verify", "digit").startswith("unknown dataset 'digit'; did you mean digits")
    assert complaint("compete").startswith("No such command 'compete'")
    assert complaint("methods") == "Missing command; see promptarena methods --help"
    assert not list(here.iterdir())


def test_a_corrupt_picture_fails_the_runs_that_need_it(tmp_path: Path) -> None:
    path = make_world(tmp_path)
    picture = tmp_path / "pictures" / "noisy" / "test" / "red" / "0.png"
    whole = picture.read_bytes()
    picture.write_bytes(whole[:60])
    command = ("compare", path, "--methods", "coop", "--workers", "1")
    own_cache = str(tmp_path / "cache")  # features are cached by names, and other tests have whole pictures of this one
    ended = run(*command, cwd=tmp_path, PROMPTARENA_CACHE=own_cache)
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert line.startswith("promptarena: coop ")
    assert " and 1 more failed: " in line
    assert str(picture) in line
    recorded = {run.data.tags["protocol"]: run for run in e2e_record.runs(tmp_path / "results")}
    assert {protocol: run.info.status for protocol, run in recorded.items()} == {
        "base-to-novel": "FAILED",
        "cross-dataset": "FAILED",
        "domain-generalization": "FINISHED",
    }
    assert str(picture) in recorded["cross-dataset"].data.tags["error"]
    picture.write_bytes(whole)
    again = succeed(*command, cwd=tmp_path, PROMPTARENA_CACHE=own_cache)
    assert "2 to run, 2 of them interrupted or failed before" in again.out
    assert len(e2e_record.runs(tmp_path / "results")) == 3


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk(suite: Path, small_disk: Path) -> None:
    command = ("compare", suite, "--results", small_disk / "results", "--workers", "2", "--methods", "coop", "maple")
    ended = run(*command, cwd=suite.parent)
    assert ended.code == 2
    assert ended.err
    assert "Traceback" not in ended.err
    for line in ended.err.splitlines():
        assert line.startswith("promptarena: ")
        assert "full" in line or "No space left" in line
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    succeed(*command, cwd=suite.parent)
    assert len(e2e_record.figures(small_disk / "results")) == 6
