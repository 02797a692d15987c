"""Reads a user's TOML or JSON file into a checked pydantic model; every mistake is reported in one line."""

import codecs
import difflib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, StringConstraints, ValidationError

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import require_regular

MOST_BYTES = 1 << 30
"""The largest file that is read as a whole; a longer one is a mistake, or endless."""

Model = TypeVar("Model", bound=BaseModel)


def read_bytes(path: Path) -> bytes:
    """The bytes of a file.

    Args:
        path: A regular file, or a link to one.

    Returns:
        All its bytes.

    Raises:
        UserError: It cannot be read, is no regular file, or is larger than MOST_BYTES.
    """
    require_regular(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > MOST_BYTES:
        raise UserError(f"cannot read {path}: it is larger than {MOST_BYTES >> 20} MiB")
    return content


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte order mark at its beginning.

    Args:
        path: The file.

    Returns:
        Its text.

    Raises:
        UserError: It cannot be read or is in another encoding.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file, without a byte order mark and without line ends.

    Only a line feed ends a line, with or without a carriage return before it: `str.splitlines` would also end one at
    characters such as U+2028, and so make two names of one.

    Args:
        path: The file.

    Returns:
        The lines in order; none for an empty file.

    Raises:
        UserError: It cannot be read or is in another encoding.
    """
    text = read_text(path).replace("\r\n", "\n")
    return text.removesuffix("\n").split("\n") if text else []


def read_json(path: Path) -> Any:
    """The value in a JSON file.

    Args:
        path: The file.

    Returns:
        The value.

    Raises:
        UserError: The file cannot be read or is not valid JSON.
    """
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not valid JSON: {_reason(error)}") from error


def read_toml(path: Path) -> dict[str, Any]:
    """The table in a TOML file.

    Args:
        path: The file.

    Returns:
        The table.

    Raises:
        UserError: The file cannot be read, is not valid TOML (the message has the line), a text in it holds a NUL
            character, which no file name and no title can hold, or an integer has more than TOML's 64 bits.
    """
    try:
        table = tomllib.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not valid TOML: {_reason(error)}") from error
    if fault := _impossible(table):
        raise UserError(f"{path}: {fault}")
    return table


def _reason(error: Exception) -> str:
    return "its values are nested too deep" if isinstance(error, RecursionError) else str(error)


def _impossible(table: dict[str, Any]) -> str | None:
    """The first value that no field can have; None when there is none. A walk without recursion: the values may be
    nested nearly as deep as Python can go."""
    waiting: list[tuple[str, object]] = [("", table)]
    while waiting:
        where, value = waiting.pop()
        if isinstance(value, str) and "\0" in value:
            return f"field {where!r} holds a NUL character; remove it"
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            return f"field {where!r} is an integer of more than 64 bits"
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for name, inner in items:
            if "\0" in str(name):
                return f"the name {name!r} holds a NUL character; remove it"
            waiting.append((f"{where}.{name}" if where else str(name), inner))
    return None


def read_json_model(path: Path, content: bytes, model: type[Model]) -> Model:
    """Check the content of a JSON file against a model.

    Args:
        path: The file, named in error messages; it is not read here.
        content: Its bytes.
        model: The pydantic model that the file must fit.

    Returns:
        The checked values.

    Raises:
        UserError: The content does not fit; the message names the file and the first wrong field.
    """
    try:
        return model.model_validate_json(content.removeprefix(codecs.BOM_UTF8))
    except ValidationError as error:
        raise misfit(str(path), model, error) from error


def check(where: str, table: object, model: type[Model]) -> Model:
    """Check a table that was read already against a model.

    Args:
        where: What the error message begins with, usually the path of the file.
        table: The values, usually from `read_toml`.
        model: The pydantic model that they must fit.

    Returns:
        The checked values.

    Raises:
        UserError: A value does not fit; the message names the first wrong field, its value and what is allowed.
    """
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise misfit(where, model, error) from error


def misfit(where: str, model: type[BaseModel], error: ValidationError) -> UserError:
    """The first problem as one line; all missing fields are one problem. A misspelt field is reported rather than the
    missing field that it causes."""
    problems = sorted(error.errors(include_url=False), key=lambda problem: problem["type"] != "extra_forbidden")
    first = problems[0]
    reported = [first]
    path = [str(part) for part in first["loc"] if part != "[key]"]
    field = ".".join(path)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        reported = [problem for problem in problems if problem["type"] == "missing"]
        names = [".".join(map(str, problem["loc"])) for problem in reported]
        text = f"field {field!r} is missing" if len(names) == 1 else f"fields {_quoted(names)} are missing"
    elif first["type"] == "extra_forbidden":
        text = f"unknown field {field!r}{_near(model, path)}"
    elif not field or first["type"] == "json_invalid":
        text = message
    else:
        text = f"field {field!r} is {_shown(first['input'])}: {message[:1].lower()}{message[1:]}"
    others = len(problems) - len(reported)
    more = f" (and {others} more)" if others else ""
    return UserError(f"{where}: {text}{more}")


def _quoted(names: Sequence[str]) -> str:
    """Names in quotes, as a sentence lists them: 'a', 'b' and 'c'."""
    *others, last = map(repr, names)
    return f"{', '.join(others)} and {last}" if others else last


def _near(model: type[BaseModel], path: list[str]) -> str:
    for part in path[:-1]:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return ""
        model = inner
    near = difflib.get_close_matches(path[-1], model.model_fields, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; allowed: {', '.join(model.model_fields)}"


def _shown(value: object) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):  # an integer of thousands of digits, or values nested too deep
        return f"a value that is too large to show ({type(value).__name__})"
    return text if len(text) <= 60 else f"{text[:57]}..."


Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
