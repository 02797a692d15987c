"""Comparisons whose figures would mean nothing are refused, or the plan and the tables say what they are."""

import shutil
from pathlib import Path

import pytest
from e2e_command import succeed
from e2e_inside import call, complaint
from e2e_world import make_world


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return make_world(tmp_path / "world")


def rename(suite: Path, old: str, new: str) -> None:
    for split in ("train", "val", "test"):
        (suite.parent / "pictures" / "noisy" / split / old).rename(suite.parent / "pictures" / "noisy" / split / new)


LONG = "very " * 70 + "red"


@pytest.mark.parametrize("method", ["zeroshot", "coop", "maple", "promptsrc", "dear", "kgcoop"])
def test_a_prompt_beyond_the_context_is_found_by_the_plan(method: str, suite: Path) -> None:
    names = f'class_names = ["blue", "green", "{LONG}", "yellow"]\nclass_folders = ["blue", "green", "red", "yellow"]'
    card = suite.parent / "noisy.toml"
    card.write_text(card.read_text().replace("reader =", f"{names}\nreader ="))
    line = complaint("compare", suite, "--plan", "--protocols", "base-to-novel", "--methods", method)
    assert "exceeds the context of" in line
    assert f"{method} on noisy: " in line
    ended = call("datasets", "verify", "noisy", "--suite", suite)
    assert ended.code == 2
    assert "exceeds the context of" in ended.out


@pytest.mark.parametrize("classes", [2, 3])
def test_a_half_of_one_class_is_refused(suite: Path, classes: int) -> None:
    for split in ("train", "val", "test"):
        for colour in ("yellow", "red")[: 4 - classes]:
            shutil.rmtree(suite.parent / "pictures" / "noisy" / split / colour)
    line = complaint("compare", suite, "--plan", "--protocols", "base-to-novel", "--methods", "zeroshot")
    half = "base" if classes == 2 else "novel"
    assert f"base-to-novel: dataset 'noisy' has {classes} classes, so its {half} half is one class" in line
    assert call("compare", suite, "--plan", "--protocols", "few-shot", "--methods", "zeroshot").code == 0


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        (["coop.recipe.epochs=1"], True),
        (["coop.recipe.warmup_epochs=2"], True),
        (["coop.recipe.warmup_epochs=50"], True),
        (["coop.recipe.epochs=1", "coop.recipe.warmup_epochs=0"], False),
        (["coop.recipe.epochs=0"], False),
        (["coop.recipe.epochs=3"], False),
    ],
)
def test_a_training_that_is_all_warm_up_is_refused(suite: Path, settings: list[str], refused: bool) -> None:
    words = ("compare", suite, "--plan", "--protocols", "base-to-novel", "--methods", "coop", "--set", *settings)
    if refused:
        assert "are all warm-up" in complaint(*words)
    else:
        assert call(*words).code == 0


def test_a_suites_limit_leaves_an_epoch_after_the_warm_up(suite: Path) -> None:
    suite.write_text(suite.read_text().replace("max_epochs = 2", "max_epochs = 1"))
    assert call("compare", suite, "--plan", "--protocols", "base-to-novel", "--methods", "coop").code == 0


def with_images(suite: Path, fewest: int) -> tuple[str, ...]:
    """A comparison with four shots, of which a class has only so many."""
    for number in range(fewest, 4):
        (suite.parent / "pictures" / "noisy" / "train" / "blue" / f"{number}.png").unlink()
    return ("compare", str(suite), "--protocols", "base-to-novel", "--methods", "zeroshot", "--shots", "4")


@pytest.mark.parametrize("fewest", [1, 2, 3, 4])
def test_the_plan_says_how_many_images_there_are(suite: Path, fewest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(suite.parent)
    text = " ".join(call(*with_images(suite, fewest), "--plan").out.split())
    assert "1 run" in text
    said = f"noisy: 4 shots are requested, but its smallest class has only {fewest} training image"
    assert (said in text) == (fewest < 4)


@pytest.mark.parametrize("fewest", [1, 4])
def test_the_comparison_and_the_tables_say_how_many_images_there_were(suite: Path, fewest: int) -> None:
    compared = succeed(*with_images(suite, fewest), "--workers", "1", cwd=suite.parent)
    plan, table = (" ".join(ended.out.split()) for ended in (compared, succeed("leaderboard", suite, cwd=suite.parent)))
    assert ("noisy: 4 shots are requested, but its smallest class has only 1 training image" in plan) == (fewest < 4)
    assert ("the smallest has 1" in table) == (fewest < 4)


def test_a_few_shot_split_is_trained_once(suite: Path) -> None:
    """Each class has four training images."""
    words = ("compare", suite, "--plan", "--protocols", "few-shot", "--methods", "coop", "--shots", 2, 4, 8, 16)
    ended = call(*words)
    text = " ".join(ended.out.split())
    assert ended.code == 0
    assert "2 runs" in text
    assert "noisy: 8 shots are left out (few-shot); they are the same training images as 4." in text
    assert "noisy: 16 shots are left out (few-shot); they are the same training images as 4." in text
