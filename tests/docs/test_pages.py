"""What the pages say is true: their examples run, their links lead somewhere, their lists are complete."""

import re
import sys
import types
from pathlib import Path

import pytest
from e2e_command import run
from e2e_world import make_world

from promptarena.benchmark.plugins.registry import load_registry

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert link.startswith("http") or (page.parent / link).exists(), link


def test_the_readme_and_the_docs_name_every_method() -> None:
    readme = (ROOT / "README.md").read_text()
    for name, method in load_registry().methods.items():
        if method.origin.startswith("promptarena "):
            assert f"`{name}`" in readme
            assert (ROOT / "docs" / "methods" / f"{name.replace('-', '_')}.md").is_file()


def test_the_inventors_example_is_a_method_that_can_be_compared(tmp_path: Path) -> None:
    plugin = blocks(ROOT / "docs" / "inventor.md", "python")[0]
    (tmp_path / "tilt.py").write_text(plugin)
    suite = make_world(tmp_path / "world", epochs=1)
    options = ("--plugin", "tilt.py", "--methods", "zeroshot", "tilt", "--protocols", "base-to-novel")
    ended = run("compare", suite, *options, cwd=tmp_path, PROMPTARENA_CACHE=str(tmp_path / "cache"))
    assert ended.code == 0, ended.err
    assert "tilt" in ended.out


def test_the_code_of_the_inventors_page_runs_and_its_methods_keep_the_contract(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Block by block, as in a notebook; a method that a block defines is checked."""
    from promptarena.benchmark.contract.kit import check

    module = types.ModuleType("docs_inventor_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for number, block in enumerate(blocks(ROOT / "docs" / "inventor.md", "python")):
        exec(compile(block, f"<block {number} of the page>", "exec"), module.__dict__)
    broken = [finding for finding in check(module.__dict__["Norms"]) if finding.passed is False]
    assert not broken, "\n".join(map(str, broken))
