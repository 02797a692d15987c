"""Generators of what users should never give, and do: damaged files, and words and values that nothing can have."""

import json
import string
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

TOKENS = (
    "",
    " ",
    "\0",
    "\ufeff",
    "\x1b[31m",
    "\u202e",
    "\u2028",
    "=1+1",
    "[red]",
    "../../x",
    "~nobodyhere/x",
    "/dev/zero",
    "n" * 300,
    "n" * 5000,
    "9" * 30,
    "9" * 400,
    "-1",
    "nan",
    "1e999",
    "{}",
    "[" * 3000,
    "%s",
    "null",
    '"',
    "'",
    "#",
    ",",
    "\n",
    "\r",
)
"""Pieces of text on which parsers, file systems, terminals and spreadsheets choke."""

words = st.one_of(
    st.sampled_from([token for token in TOKENS if "\0" not in token]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
    st.text(string.ascii_lowercase + "-_./=:,0", min_size=1, max_size=8),
)
"""Words of a command line: any text without a NUL."""


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """A file's content with one to three of its bytes, lines or words cut, flipped, repeated or replaced."""
    for _ in range(draw(st.integers(1, 3))):
        content = draw(st.sampled_from(_DAMAGES))(draw, content)
    return content


def _cut(draw: st.DrawFn, content: bytes) -> bytes:
    return content[: draw(st.integers(0, len(content)))]


def _flip(draw: st.DrawFn, content: bytes) -> bytes:
    if not content:
        return b"\xff"
    place = draw(st.integers(0, len(content) - 1))
    return content[:place] + bytes([content[place] ^ draw(st.integers(1, 255))]) + content[place + 1 :]


def _insert(draw: st.DrawFn, content: bytes) -> bytes:
    place = draw(st.integers(0, len(content)))
    piece = draw(st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from(TOKENS).map(str.encode)))
    return content[:place] + piece + content[place:]


def _lines(draw: st.DrawFn, content: bytes) -> bytes:
    lines = content.split(b"\n")
    first, second = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    match draw(st.sampled_from(["swap", "repeat", "remove"])):
        case "swap":
            lines[first], lines[second] = lines[second], lines[first]
        case "repeat":
            lines.insert(second, lines[first])
        case _:
            del lines[first]
    return b"\n".join(lines)


def _word(draw: st.DrawFn, content: bytes) -> bytes:
    parts = content.split(b" ")
    parts[draw(st.integers(0, len(parts) - 1))] = draw(st.sampled_from(TOKENS)).encode()
    return b" ".join(parts)


_DAMAGES: tuple[Callable[[st.DrawFn, bytes], bytes], ...] = (_cut, _flip, _insert, _lines, _word)

values: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(TOKENS),
    st.sampled_from(["\ud800", "a\ud800b", "x", "coop", "dtd", "base", "small", "1"]),
    st.sampled_from([0, 1, -1, 2**31, 2**53, 2**53 + 1, 2**63, 10**30, 10**400, True, False, None]),
    st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e308, -0.0, 0.5, 1e16]),
    st.sampled_from(
        [
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-12:00",
            "1969-12-31T23:59:59Z",
            "2262-04-12T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-02T03:04:05.000001+05:45",
        ]
    ),
    st.sampled_from([[], {}, [1], [[]], {"a": 1}, {"": 1}, {"a/../b": 1}, {"a!": 1, "a?": 2}, ["dtd"], ["a b"]]),
    st.sampled_from([1, 20, 150, 600]).map(lambda depth: json.loads("[" * depth + "]" * depth)),
    st.text(max_size=8),
)
"""Values of JSON, and some that are none."""


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """A JSON document in which one or two values or names are removed, repeated or replaced by hostile ones."""
    copy = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 2))):
        _change(draw, copy)
    return copy


def _change(draw: st.DrawFn, place: Any) -> None:
    while True:
        if not isinstance(place, dict | list) or not place:
            return
        key: Any = draw(st.sampled_from(sorted(place)) if isinstance(place, dict) else st.integers(0, len(place) - 1))
        inner = place[key]
        if isinstance(inner, dict | list) and inner and draw(st.integers(0, 5)):
            place = inner
            continue
        match draw(st.sampled_from(["replace", "replace", "replace", "remove", "rename"])):
            case "replace":
                place[key] = deepcopy(draw(values))  # a later change must not reach the generator
            case "remove":
                del place[key]
            case _ if isinstance(place, dict):
                place[draw(st.one_of(st.sampled_from(TOKENS), st.text(max_size=6)))] = place.pop(key)
            case _:
                place.append(deepcopy(inner))
        return
