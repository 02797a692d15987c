"""Files that users write: a byte order mark changes nothing, and what cannot be read is one clear error."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from promptarena.benchmark.core import config_files
from promptarena.benchmark.core.config_files import (
    check,
    read_bytes,
    read_json,
    read_json_model,
    read_lines,
    read_text,
    read_toml,
)
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.keys import file_digest
from promptarena.benchmark.data.images import decode

MARK = "\ufeff".encode()
READERS = (read_bytes, read_text, read_lines, read_json, read_toml, file_digest, decode)


class Shape(BaseModel):
    """A model for one field."""

    name: str


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files") / "file.toml"


plain = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\n\ufeff"))


@given(lines=st.lists(plain), end=st.sampled_from(["\n", "\r\n"]), marked=st.booleans(), last=st.booleans())
def test_lines_are_read_as_written(file: Path, lines: list[str], end: str, marked: bool, last: bool) -> None:
    text = end.join(lines) + end * (last and bool(lines))
    if not last and lines and not lines[-1]:
        lines = lines[:-1]  # an empty last line without a line end is no line
    file.write_bytes(MARK * marked + text.encode())
    assert read_lines(file) == lines
    assert read_text(file) == text


@given(name=plain)
def test_a_byte_order_mark_is_no_part_of_the_content(file: Path, name: str) -> None:
    printed = "".join(letter for letter in name if letter not in "\0\x7f")  # TOML takes neither
    for mark in (b"", MARK):
        content = mark + json.dumps({"name": name}).encode()
        file.write_bytes(content)
        assert read_json(file) == {"name": name}
        assert read_json_model(file, content, Shape).name == name
        file.write_bytes(mark + f"name = {json.dumps(printed, ensure_ascii=False)}".encode())
        assert read_toml(file) == {"name": printed}


def refusal(read: Callable[[Path], object], path: Path) -> str | None:
    """What the error says; None when there is none."""
    try:
        read(path)
    except UserError as error:
        return str(error)
    return None


def nested(depth: int, kind: str) -> str:
    return {"list": "[" * depth + "]" * depth, "table": "{a=" * depth + "1" + "}" * depth}[kind]


@given(depth=st.integers(1, 20_000), kind=st.sampled_from(["list", "table"]))
def test_toml_of_any_depth_is_read_or_refused(file: Path, depth: int, kind: str) -> None:
    file.write_text(f"x = {nested(depth, kind)}")
    assert refusal(read_toml, file) in (None, f"{file}: is not valid TOML: its values are nested too deep")


@given(depth=st.integers(1, 200_000))
def test_json_of_any_depth_is_read_or_refused(file: Path, depth: int) -> None:
    file.write_text("[" * depth + "]" * depth)
    assert refusal(read_json, file) in (None, f"{file}: is not valid JSON: its values are nested too deep")
    with pytest.raises(UserError):
        read_json_model(file, file.read_bytes(), Shape)


@given(digits=st.integers(1, 9000), base=st.sampled_from(["", "0x", "0o", "0b"]))
def test_an_integer_of_any_length_is_read_or_refused_in_a_short_line(file: Path, digits: int, base: str) -> None:
    file.write_text(f"name = {base}{'1' * digits}")
    with pytest.raises(UserError) as error:
        check(str(file), read_toml(file), Shape)
    assert str(error.value).startswith(f"{file}: ")
    assert len(str(error.value)) < 400
    assert "\n" not in str(error.value)


def test_a_nul_is_refused_wherever_it_is(file: Path) -> None:
    for text in (r'a = "x\u0000"', r'[a]b = [{c = "x\u0000y"}]'.replace("]b", "]\nb"), r'"a\u0000" = 1'):
        file.write_text(text)
        with pytest.raises(UserError, match="holds a NUL character"):
            read_toml(file)


@pytest.fixture(params=["folder", "pipe", "socket", "endless device", "gone", "loop", "long name", "NUL", "link"])
def odd(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Something that is no file, or a link to it."""
    path, kind = tmp_path / "odd", request.param
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        monkeypatch.chdir(tmp_path)  # the path of a socket must be short
        socket.socket(socket.AF_UNIX).bind("odd")
    elif kind == "endless device":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "long name":
        path = tmp_path / ("n" * 300)
    elif kind == "NUL":
        path = tmp_path / "a\0b"
    elif kind == "link":
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to(tmp_path / "pipe")
    return path


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_what_is_no_file_is_refused_at_once(odd: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(UserError, match=r"^cannot read ") as error:
        read(odd)
    assert "\n" not in str(error.value)


def test_a_file_without_end_is_not_read_to_its_end(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_files, "MOST_BYTES", 1 << 20)
    file.write_bytes(b"x" * (1 << 20))
    assert len(read_bytes(file)) == 1 << 20
    with file.open("ab") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(UserError, match="it is larger than 1 MiB"):
        read_bytes(file)
