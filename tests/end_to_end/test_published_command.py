"""Published figures on the command line."""

from pathlib import Path

from e2e_command import run, succeed


def test_a_methods_published_figures_are_shown_with_their_sources(tmp_path: Path) -> None:
    shown = succeed("published", "show", "coop", cwd=tmp_path).out
    assert "82.69" in shown
    assert "63.22" in shown
    assert "[1]" in shown
    listed = succeed("published", "list", cwd=tmp_path).out
    assert "coop" in listed
    assert "PromptKD *" in listed
    assert "another setting: trains on unlabelled images" in succeed("published", "show", "promptkd", cwd=tmp_path).out


def test_an_unknown_method_is_one_line(tmp_path: Path) -> None:
    ended = run("published", "show", "copp", cwd=tmp_path)
    assert ended.code == 2
    assert "did you mean" in ended.err
    assert ended.err.count("\n") == 1
