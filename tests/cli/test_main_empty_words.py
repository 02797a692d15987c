"""An empty word, as an unset shell variable gives it, never stands for everything."""

from pathlib import Path

import pytest
from e2e_inside import call, complaint


@pytest.mark.parametrize(
    "option", ["--methods", "--protocols", "--datasets", "--seeds", "--results", "--set", "--shots"]
)
@pytest.mark.parametrize("word", ["", " ", ","])
def test_an_empty_word_is_refused(option: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if word == "," and option in ("--results", "--set"):
        pytest.skip("a folder may be called ',', and --set gives another message")
    monkeypatch.chdir(tmp_path)
    assert option in complaint("compare", option, word, "--plan")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words", [["leaderboard", "--methods="], ["compare", ""], ["methods", "show", ""], ["report", "--out", ""]]
)
def test_so_it_is_in_every_command(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "unset" in complaint(*words)


def test_a_setting_may_be_an_empty_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["--set", "coop.ctx_init="], ["--set=coop.ctx_init="]):
        ended = call("compare", "--plan", "--methods", "coop", *words)
        assert ended.code == 0, ended.err
