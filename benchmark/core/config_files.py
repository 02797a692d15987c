"""Reads a user's TOML or JSON file into a checked pydantic model; every mistake is reported in one line."""

import difflib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, StringConstraints, ValidationError

from promptarena.benchmark.core.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def read_bytes(path: Path) -> bytes:
    """The bytes of a file. Raises UserError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def read_text(path: Path) -> str:
    """The text of a UTF-8 file. Raises UserError when it cannot be read or is in another encoding."""
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text (byte {error.start})") from error


def read_toml(path: Path) -> dict[str, Any]:
    """The table in a TOML file. Raises UserError naming the file and the line of a syntax error."""
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: is not valid TOML: {error}") from error


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
        return model.model_validate_json(content)
    except ValidationError as error:
        raise UserError(_one_line(str(path), model, error)) from error


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
        raise UserError(_one_line(where, model, error)) from error


def _one_line(where: str, model: type[BaseModel], error: ValidationError) -> str:
    """The first problem as one line. A misspelt field is reported rather than the missing field that it causes."""
    problems = sorted(error.errors(include_url=False), key=lambda problem: problem["type"] != "extra_forbidden")
    first = problems[0]
    path = [str(part) for part in first["loc"] if part != "[key]"]
    field = ".".join(path)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        text = f"field {field!r} is missing"
    elif first["type"] == "extra_forbidden":
        text = f"unknown field {field!r}{_near(model, path)}"
    elif not field or first["type"] == "json_invalid":
        text = message
    else:
        text = f"field {field!r} is {_shown(first['input'])}: {message[:1].lower()}{message[1:]}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{where}: {text}{more}"


def _near(model: type[BaseModel], path: list[str]) -> str:
    for part in path[:-1]:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return ""
        model = inner
    near = difflib.get_close_matches(path[-1], model.model_fields, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; allowed: {', '.join(model.model_fields)}"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
