"""Hooks of mkdocs: pages that are made from the code, and files of the repository that pages link to.

Nothing is fetched: the site builds without a network.
"""

import os
import posixpath
import re
import shutil
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
ALIASES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Files outside docs/ with a page of their own."""
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
METHODS = "..."
"""What stands in the navigation for the methods' pages."""


def on_startup(**_: Any) -> None:
    """Show mkdocstrings the package, before it looks which of its paths exist."""
    package = ROOT / "build" / "package" / "promptarena"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(ROOT / "benchmark" / "api", package)  # copies: links are not followed
    for part in ("methods", "benchmark"):
        shutil.copytree(ROOT / part, package / part, ignore=shutil.ignore_patterns("__pycache__", "*.json"))


def on_config(config: Any) -> Any:
    """List the methods' pages."""
    for section in config["nav"]:
        for pages in section.values():
            if isinstance(pages, list) and METHODS in pages:
                place = pages.index(METHODS)
                pages[place : place + 1] = sorted(
                    f"methods/{path.name}" for path in (ROOT / "docs" / "methods").glob("*.md") if path.stem != "index"
                )
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made, and what pages link to outside docs/."""
    files.append(File.generated(config, "commands.md", content=commands()))
    linked = dict.fromkeys(ALIASES)
    for page in sorted((ROOT / "docs").rglob("*.md")):
        where = page.relative_to(ROOT).as_posix()
        linked |= dict.fromkeys(path for path in links(page.read_text(encoding="utf-8"), where) if shown(path))
    for path in linked:
        text = (ROOT / path).read_text(encoding="utf-8")
        content = rewritten(text, path, set(linked)) if path.endswith(".md") else text
        files.append(File.generated(config, site_path(path), content=content))
    config["linked_files"] = set(linked)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Let links lead to where the site has what they name."""
    if page.file.generated_by:
        return markdown
    return rewritten(markdown, f"docs/{page.file.src_uri}", config["linked_files"])


def shown(path: str) -> bool:
    """Whether a path is a file of the repository outside docs/, which the site gets a copy of."""
    return not path.startswith("docs/") and (ROOT / path).is_file()


def site_path(path: str) -> str:
    """Where the site has a file of the repository."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return ALIASES.get(path, f"repository/{path}")


def links(markdown: str, where: str) -> list[str]:
    """The files that a page links to, as paths in the repository.

    Args:
        markdown: The page.
        where: Its path in the repository.

    Returns:
        The paths; addresses on the web are left out.
    """
    targets = (found[3] for found in LINK.finditer(markdown) if "://" not in found[3])
    return [posixpath.normpath(posixpath.join(posixpath.dirname(where), target)) for target in targets]


def rewritten(markdown: str, where: str, linked: set[str]) -> str:
    """The page with links as the site has them; a link to what the site does not have becomes its text.

    Args:
        markdown: The page.
        where: Its path in the repository.
        linked: The files outside docs/ that the site has.

    Returns:
        The page.
    """

    def replace(found: re.Match[str]) -> str:
        if "://" in found[3]:
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(where), found[3]))
        if not (path.startswith("docs/") and (ROOT / path).exists()) and path not in linked:
            return found[2]
        target = posixpath.relpath(site_path(path), posixpath.dirname(site_path(where)) or ".")
        return f"{found[1]}[{found[2]}]({target}{found[4] or ''})"

    return LINK.sub(replace, markdown)


def commands() -> str:
    """A page with every command and its options."""
    os.environ["TERM"] = "dumb"
    import typer
    from typer.cli import get_docs_for_click

    from promptarena.benchmark.cli.main import app

    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name="promptarena"), name="promptarena")
    return text.replace("# `promptarena`", "# Commands", 1)
