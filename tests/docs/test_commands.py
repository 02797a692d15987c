"""Every command on the pages is one that promptarena understands; those for newcomers are run as they stand.

What is written as a synopsis ([SUITE], NAME, |, …) is checked for its command and its options.
"""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from e2e_command import succeed
from e2e_inside import call
from PIL import Image

from promptarena.benchmark.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "results/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
RUN = ("docs/start.md", "docs/datasets.md")
"""The pages whose commands are run one after the other, as a newcomer does."""
NOT_RUN = {
    r"\[|…|\||\.\.\.|\b[A-Z]{4,}\b": "a synopsis, not a command",
    r"^pip |^python -m venv|^\. ": "installs; CI does so at its start",
    r"clip-15": "needs public datasets and OpenAI's weights",
    r"datasets prepare": "downloads",
}
"""Why commands of these pages are not run, by a pattern that finds them."""
SYNOPSIS = re.compile(r"\[|…|\||\.\.\.|\b[A-Z]{2,}\b")


class Line(NamedTuple):
    page: str
    command: str


def lines() -> Iterator[Line]:
    """The indented lines that begin with a command, without prompt and explanation; a line that ends in \\ goes on."""
    for page in PAGES:
        text = re.sub(r"\\\n +", "", page.read_text(encoding="utf-8"))
        text = re.sub(r"^( *)```\w+\n.*?^\1```", "", text, flags=re.MULTILINE | re.DOTALL)
        for line in re.findall(r"^    +(?:\$ )?((?:promptarena|pip|python) .+)", text, flags=re.MULTILINE):
            for command in re.split(r" {2,}", line)[0].split("&&"):
                if command.strip():
                    yield Line(page.relative_to(ROOT).as_posix(), command.strip())


BEYOND = {
    r"taskres": "needs the example package; CI installs it and runs its tests, which check both methods",
    r"promptarena ui": "serves until it is stopped; tests/end_to_end/test_ui_in_chromium.py starts it and looks",
    r"datasets prepare|--root /data": "downloads",
    r"--launcher": "needs a cluster; tests/running/clusters has real ones",
}
"""Why commands of the other pages are not run, by a pattern that finds them."""
SMALLER = {"compare": ("--plan",), "heads diagnose": ("--max-images", "40")}
"""What is added to commands that would take long."""
SHORTER = {("docs/datasets.md", "compare"): ("--set", "coop.recipe.epochs=2")}
"""What is added where the same training runs as it stands on another of the pages in `RUN`."""
COMMANDS = [line for line in dict.fromkeys(lines()) if line.command.startswith("promptarena ")]
OTHERS = [
    line
    for line in COMMANDS
    if line.page not in RUN
    and not SYNOPSIS.search(line.command)
    and not any(re.search(pattern, line.command) for pattern in BEYOND)
]
"""The commands of the other pages. What they train would take hours: comparisons are planned, not carried out."""


def described(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words name, and the words after it."""
    command, rest = typer.main.get_command(app), words
    while rest and rest[0] in getattr(command, "commands", {}):
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


def test_the_pages_have_commands() -> None:
    assert len(COMMANDS) > 50


@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: f"{line.page}: {line.command}")
def test_it_is_understood(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if SYNOPSIS.search(line.command):
        for part in re.split(r" \| | or ", line.command.removeprefix("promptarena ")):
            command, rest = described(re.sub(r"[\[\]]", " ", part).split())
            options = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in rest if word.startswith("--")} <= options, part
        return
    command, rest = described(shlex.split(line.command)[1:])
    assert not hasattr(command, "commands"), "names no command"
    with command.make_context("promptarena", rest):  # parses and checks the words, and runs nothing
        pass


def own_toml() -> dict[str, str]:
    """The cards and suites on the page for own images, by the name that each gives itself."""
    text = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return {found[1]: block for block in blocks if (found := re.search(r'^name = "(.+)"', block, re.MULTILINE))}


def birds(folder: Path) -> None:
    """Four classes of eight images."""
    for number, bird in enumerate(("blue_jay", "grey_heron", "magpie", "wren")):
        (folder / "birds" / bird).mkdir(parents=True)
        for image in range(8):
            Image.new("RGB", (48, 48), (60 * number, 20 * image, 90)).save(folder / "birds" / bird / f"{image}.png")


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_the_commands_for_newcomers_run(page: str, tmp_path: Path) -> None:
    birds(tmp_path)
    for line in lines():
        if line.page == page and not any(re.search(pattern, line.command) for pattern in NOT_RUN):
            words = shlex.split(line.command)[1:]
            succeed(*words, *SHORTER.get((page, words[0]), ()), cwd=tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the other pages take for granted: a small record, a plugin and images of one's own."""
    folder = tmp_path_factory.mktemp("pages")
    birds(folder)
    small = ("--methods", "zeroshot", "coop", "--datasets", "digits", "--protocols", "base-to-novel", "open-world")
    succeed("compare", *small, "--seeds", "1", "2", "--set", "coop.recipe.epochs=2", cwd=folder)
    succeed("methods", "new", "tilt", cwd=folder)
    succeed("datasets", "new", "birds", cwd=folder)
    shutil.copytree(folder / "birds", folder / "pictures")
    (folder / "yard.toml").write_text(own_toml()["yard"], encoding="utf-8")
    (folder / "before").mkdir()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("line", OTHERS, ids=lambda line: f"{line.page}: {line.command}")
def test_commands_of_other_pages_run_and_comparisons_are_planned(
    line: Line, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    words = shlex.split(line.command)[1:]
    if words[1:2] == ["new"]:  # it writes what is there already
        for written in (*folder.glob("*tilt*.py"), *folder.glob("birds*.toml")):
            written.rename(folder / "before" / written.name)
    more = next((more for start, more in SMALLER.items() if " ".join(words).startswith(start)), ())
    ended = call(*words, *(word for word in more if word not in words))
    for written in (folder / "before").iterdir():
        written.rename(folder / written.name)
    assert ended.code == 0, ended.err


@pytest.mark.parametrize("pattern", NOT_RUN)
def test_what_is_not_run_is_still_on_the_pages(pattern: str) -> None:
    assert any(line.page in RUN and re.search(pattern, line.command) for line in lines())


@pytest.mark.parametrize("pattern", BEYOND)
def test_what_other_pages_do_not_run_is_still_on_them(pattern: str) -> None:
    assert any(line.page not in RUN and re.search(pattern, line.command) for line in lines())


def test_toml_on_the_page_for_own_images_is_right(tmp_path: Path) -> None:
    """The cards and suites as they stand, each in a file of the name that it gives itself."""
    from promptarena.benchmark.data.cards import load_card
    from promptarena.benchmark.planning.suites import load_suite

    named = own_toml()
    for other in ("butterflies", "trees"):
        named[other] = named["birds"].replace('"birds"', f'"{other}"', 1)
    for name, block in named.items():
        (tmp_path / f"{name}.toml").write_text(block, encoding="utf-8")
    assert [load_card(tmp_path / f"{name}.toml").name for name in ("birds", "birds-at-night")]
    assert load_suite(tmp_path / "yard.toml").datasets == ("birds",)
    assert load_suite(tmp_path / "yards.toml").variants == ("birds-at-night",)
