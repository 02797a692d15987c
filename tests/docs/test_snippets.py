"""The fenced code of all pages: Python runs, TOML, JSON and YAML can be read."""

import json
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from drawn_predictions import drawn

from promptarena.benchmark.analysis.subjects import confidence
from promptarena.benchmark.core.predictions import to_parquet

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for folder in ("docs", "examples", "results") for path in (ROOT / folder).rglob("*.md"))
RUN_ELSEWHERE = {"docs/inventor.md": "test_pages.py", "docs/python.md": "test_python_page.py"}
"""The pages whose Python is run by another file beside this one."""
RUN_HERE = ("docs/predictions.md", "docs/results.md", "docs/start.md", "docs/statistics.md")
SHOWN_ONLY = {"latex": "compiled by tests/leaderboard/formats/test_latex_compiles.py", "text": "drawings"}
"""Kinds of fences that are not read here, and why."""


def fences(page: Path) -> list[tuple[str, str]]:
    """(language, content) of each fence; a fence in a list is indented."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^\1```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [(language, re.sub(rf"^{indent}", "", content, flags=re.MULTILINE)) for indent, language, content in found]


def python_of(page: str) -> list[str]:
    return [content for language, content in fences(ROOT / page) if language == "python"]


def run(page: str, code: str) -> dict[str, Any]:
    """The names that it defines."""
    names: dict[str, Any] = {}
    exec(compile(code, page, "exec"), names)
    return names


def test_every_page_with_python_is_run() -> None:
    pages = {page.relative_to(ROOT).as_posix() for page in PAGES if any(kind == "python" for kind, _ in fences(page))}
    assert pages == {*RUN_ELSEWHERE, *RUN_HERE}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_toml_json_and_yaml_can_be_read(page: Path) -> None:
    for language, content in fences(page):
        if language == "toml":
            tomllib.loads(content)
        elif language == "json":
            json.loads(content)
        elif language == "yaml":
            assert yaml.safe_load(content)
        else:
            assert language == "python" or language in SHOWN_ONLY, f"a fence of {language or 'no language'}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_python_is_fenced(page: Path) -> None:
    """What is only indented would not be run here."""
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    code = r"^    +(?:from \S+ import |import \w|(?:\w+ = )?(?:pa|pd|np|mlflow|results|torch)\.\w).*"
    assert not re.findall(code, text, flags=re.MULTILINE)


def test_the_digest_of_an_export_is_computed_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exported = next((ROOT / "tests" / "recorded_before" / "export" / "runs").glob("*.json"))
    shutil.copy(exported, "run.json")
    run("results.md", python_of("docs/results.md")[0])


def test_a_file_of_predictions_is_read_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = drawn(50, 7, subset="base")
    Path("food.base.parquet").write_bytes(to_parquet([found]))
    names = run("predictions.md", python_of("docs/predictions.md")[0])
    assert names["names"] == list(found.classes)
    assert names["accuracy"] == found.right.mean()
    assert names["probability"].tolist() == pytest.approx(confidence(found).tolist())


@pytest.mark.slow
def test_the_first_python_of_a_newcomer_runs_and_what_other_pages_do_with_its_record(compared: Path) -> None:
    (first,) = python_of("docs/start.md")
    assert len(run("start.md", first)["results"]) == 2
    for page in ("docs/predictions.md", "docs/results.md", "docs/statistics.md"):
        run(page, python_of(page)[-1])
    assert Path("confusion.svg").is_file()
    assert Path("plane.pdf").is_file()
