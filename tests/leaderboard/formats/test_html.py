"""Tables in HTML."""

from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

from boards import BOARD

from promptarena.benchmark.leaderboard.formats.render import render


class _Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.data = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.data += data


def test_html_is_well_formed_and_escaped() -> None:
    page = _Balance()
    text = render(replace(BOARD, notes=("<script>alert(1)</script>",)), "html")
    page.feed(text)
    assert page.open == []
    assert "<script>" not in text
    assert "a_b &amp; c" in text
    assert "<b>80.47</b> <small>±0.50</small>" in text
    assert "<u>74.21</u>" in text
    assert "79.23 to 81.71" in text
