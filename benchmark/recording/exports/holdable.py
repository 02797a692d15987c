"""What a record and its tables can hold: checked before a run of an export is recorded or shown."""

import math
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from promptarena.benchmark.core.labels import RECORDABLE
from promptarena.benchmark.core.subsets import SCORED
from promptarena.benchmark.core.suite_layout import Name

MOST = 2**53
"""The largest count: MLflow keeps counts as floating-point numbers, which hold every integer up to it."""
LONGEST_NAME = 250
"""Characters of a name, as in MLflow's databases."""
LONGEST_VALUE = 8000
"""Characters of a value that becomes a tag."""
INTEGER_BITS = 64
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC)
"""The moments that a table can hold: pandas counts nanoseconds from 1970 in 64 bits."""


def _a_moment(moment: datetime) -> datetime:
    try:
        inside = FIRST <= moment.astimezone(UTC) < LAST
    except OverflowError:
        inside = False
    if not inside:
        raise ValueError(f"only moments from {FIRST.year} to {LAST.year - 1} can be recorded")
    return moment


def _plain(name: str) -> str:
    if not name.isprintable():
        raise ValueError("a name has no control characters and no invisible ones")
    return name


def _recordable(name: str) -> str:
    if name and not RECORDABLE.fullmatch(name):
        raise ValueError("the record accepts only letters, digits, _, -, . and spaces in this name")
    return name


Moment = Annotated[AwareDatetime, AfterValidator(_a_moment)]
"""A moment that a table can hold."""
Count = Annotated[int, Field(ge=0, le=MOST)]
Amount = Annotated[float, Field(ge=0, le=1e15)]
Plain = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME), AfterValidator(_plain)]
"""A name that can be recorded and printed."""
Reading = Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(_recordable)]
"""A name that becomes part of a metric's name; it may be empty."""
Short = Annotated[str, Field(max_length=LONGEST_VALUE)]


class _Provenance(BaseModel):
    """The parts of a run's provenance that the record or a table reads; there may be others."""

    model_config = ConfigDict(extra="allow", strict=True)

    own_splits: list[Name] = []
    targets: dict[str, str] = {}
    backbone: str = ""
    precision: str = ""
    train_split: str | None = None
    method_source: str = ""
    method_origin: str | None = ""
    training_version: int = 0
    protocol_version: int = 0
    transform_version: int = 0
    fewest_images_per_class: Count = 0


def check_values(name: str, value: Any) -> None:
    """Check free values: configuration, recipe, provenance, environment.

    Args:
        name: What they are called in messages.
        value: Plain values, as JSON has them.

    Raises:
        ValueError: A text holds a NUL or half a character, a number is infinite or has more than 64 bits, or a name
            is too long.
    """
    for where, leaf in _leaves(name, value):
        if isinstance(leaf, str) and ("\0" in leaf or not _is_text(leaf)):
            raise ValueError(f"{where} holds a character that cannot be recorded")
        if isinstance(leaf, float) and not math.isfinite(leaf):
            raise ValueError(f"{where} is no finite number")
        if isinstance(leaf, int) and not -(2 ** (INTEGER_BITS - 1)) <= leaf < 2 ** (INTEGER_BITS - 1):
            raise ValueError(f"{where} is an integer of more than {INTEGER_BITS} bits")


def check_params(params: Sequence[str]) -> None:
    """Check the dotted names of a run's settings.

    Args:
        params: The names, as they are recorded.

    Raises:
        ValueError: MLflow refuses a name, or two settings are recorded under one name.
    """
    for name in params:
        plain = posixpath.normpath(name)
        if plain != name or plain.startswith(("..", "/")) or plain == "." or len(name) > LONGEST_NAME:
            raise ValueError(f"a setting's name {name[:60]!r} cannot be recorded")
    if repeated := sorted(name for name, count in Counter(params).items() if count > 1):
        raise ValueError(f"two settings would both be recorded as {repeated[0][:60]!r}")


def check_provenance(provenance: Mapping[str, Any]) -> None:
    """Check the types of what the record and its tables read of a provenance.

    Args:
        provenance: As in `PlannedRun`.

    Raises:
        ValueError: A value is of another type.
    """
    try:
        known = _Provenance.model_validate(dict(provenance))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"provenance.{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    for target in known.targets:
        dataset, _, subset = target.partition("/")
        if not re.fullmatch(r"[a-z0-9_-]+", dataset) or subset not in SCORED:
            raise ValueError(f"provenance.targets: {target[:60]!r} is no dataset/subset")


def check_curves(curves: Sequence[Mapping[str, float | None]]) -> None:
    """Check the names and epochs of curves.

    Args:
        curves: As in `RunResult`.

    Raises:
        ValueError: A row has no epoch, an epoch is no whole number or is repeated, or a name cannot be recorded.
    """
    epochs = [row.get("epoch") for row in curves]
    if any(epoch is None or not 0 <= epoch <= MOST or epoch != int(epoch) for epoch in epochs):
        raise ValueError("a row of the curves has no epoch, or one that is no whole number")
    if len(set(epochs)) < len(epochs):
        raise ValueError("two rows of the curves have the same epoch")
    for name in {name for row in curves for name in row}:
        if not RECORDABLE.fullmatch(name) or len(name) > LONGEST_NAME - len("curves/"):
            raise ValueError(f"a curve's name {name[:60]!r} cannot be recorded")


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every value, and every name in a mapping, with where it is. Without recursion: values may be nested deep."""
    waiting = [(name, value)]
    while waiting:
        where, inner = waiting.pop()
        if isinstance(inner, Mapping):
            yield from ((f"a name in {where}", key) for key in inner)
            waiting += [(f"{where}.{ascii(key)[1:-1][:60]}", each) for key, each in inner.items()]
        elif isinstance(inner, list | tuple):
            waiting += [(where, each) for each in inner]
        else:
            yield where, inner


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
