"""An empty word, as an unset shell variable gives it, never stands for everything."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "option", ["--methods", "--protocols", "--datasets", "--seeds", "--results", "--set", "--shots"]
)
@pytest.mark.parametrize("word", ["", " ", ","])
def test_an_empty_word_is_refused(option: str, word: str, tmp_path: Path) -> None:
    if word == "," and option in ("--results", "--set"):
        pytest.skip("a folder may be called ',', and --set gives another message")
    command = [sys.executable, "-m", "promptarena.benchmark.cli.main", "compare", option, word, "--plan"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 2
    assert option in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words", [["leaderboard", "--methods="], ["compare", ""], ["methods", "show", ""], ["report", "--out", ""]]
)
def test_so_it_is_in_every_command(words: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "promptarena.benchmark.cli.main", *words]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "unset" in ended.stderr


def test_a_setting_may_be_an_empty_text(tmp_path: Path) -> None:
    for words in (["--set", "coop.ctx_init="], ["--set=coop.ctx_init="]):
        command = [sys.executable, "-m", "promptarena.benchmark.cli.main", "compare", "--plan", "--methods", "coop"]
        ended = subprocess.run([*command, *words], cwd=tmp_path, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
