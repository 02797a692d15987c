"""A folder of reports as a static site: GitHub Pages or a Hugging Face Space serves it as it is."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.leaderboard.formats.registry import file_endings
from promptarena.benchmark.leaderboard.formats.render import render_all
from promptarena.benchmark.plots.dark import dark_svg
from promptarena.benchmark.plots.style import COLUMN, FORMATS
from promptarena.benchmark.report.page import templates
from promptarena.benchmark.report.sections import Section
from promptarena.benchmark.report.summary import summary

SPACE = "README.md"
"""The file in which a Hugging Face Space says what it is."""
_SPACE_CARD = "---\ntitle: Leaderboards\nsdk: static\n---\n\nMade with `promptarena report --publish`.\n"
ENTRY = "site.json"
"""The file of each report that the site's first page is made from."""


def write_site(folder: Path, suite: str, title: str, page: str, sections: Sequence[Section]) -> Path:
    """Add the report of a suite to a site, or replace it.

    Args:
        folder: The site; it is created if missing.
        suite: The suite's name, which is its folder in the site.
        title: The suite's title; empty: its name.
        page: The report.
        sections: The protocols with all that was made of their results.

    Returns:
        The site's first page. Beside it is a folder for each suite with the report as index.html, the tables in all
        formats, the scores as scores.parquet (one row for each run, target and metric), and the figures. A README.md
        that makes the folder a static Space is written unless there is one.

    Raises:
        UserError: A file cannot be written, or a report's `site.json` there is damaged.
    """
    here = folder / suite
    entry = {"suite": suite, "title": title or suite, "lines": summary(sections)}
    boards = [board for section in sections for board in section.boards]
    write_atomically(here / "index.html", page)
    for format, ending in file_endings().items():
        if format != "html":
            write_atomically(here / f"leaderboard.{ending}", render_all(boards, format))
    write_atomically(here / "scores.parquet", _scores(sections))
    for section in sections:
        for name, content in section.figures(*FORMATS).items():
            place = here / "figures" / section.protocol / name
            write_atomically(place, content)
            if place.suffix == ".svg":
                write_atomically(place.with_stem(f"{place.stem}-dark"), dark_svg(content))
        for name, content in section.figures("pdf", width=COLUMN).items():
            place = here / "figures" / section.protocol / name
            write_atomically(place.with_stem(f"{place.stem}-column"), content)
    write_atomically(here / ENTRY, json.dumps(entry, indent=2, ensure_ascii=False) + "\n")
    card = folder / SPACE
    if not card.exists():
        write_atomically(card, _SPACE_CARD)
    # Without this file GitHub Pages leaves out what begins with an underscore.
    write_atomically(folder / ".nojekyll", "")
    index = folder / "index.html"
    write_atomically(index, templates().get_template("site.html.jinja").render(entries=_entries(folder)))
    return index


def _scores(sections: Sequence[Section]) -> bytes:
    """The tidy frame of the sections as Parquet."""
    import pandas as pd

    frames = [section.query.frame[section.query.frame["protocol"] == section.protocol] for section in sections]
    # Without `attrs`, which pandas would write into the file's metadata.
    whole = pd.concat([pd.DataFrame(frame.to_dict("series")) for frame in frames]) if frames else pd.DataFrame()
    content = whole.to_parquet(index=False)
    assert content is not None
    return content


def _entries(folder: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted(folder.glob(f"*/{ENTRY}")):
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
            found.append({"folder": path.parent.name, "title": str(entry["title"]), "lines": list(entry["lines"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged: {error}; publish the report of this suite again") from error
    return found
