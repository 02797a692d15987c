"""The leaderboards of a suite, from the record or from any other list of results."""

from collections.abc import Collection, Sequence
from typing import TypedDict, Unpack

from promptarena.benchmark.board import Board
from promptarena.benchmark.distance_board import distance_board
from promptarena.benchmark.errors import unknown
from promptarena.benchmark.frame import reading_label, tidy
from promptarena.benchmark.leaderboard import leaderboard
from promptarena.benchmark.outline import Outline
from promptarena.benchmark.published import load_published
from promptarena.benchmark.record import Record
from promptarena.benchmark.record_index import StoredResult
from promptarena.benchmark.spec import PROTOCOLS, Protocol
from promptarena.benchmark.suites import Suite


class Selection(TypedDict, total=False):
    """What is shown of the results: `protocols` names the boards wanted (default: of those that have results),
    `methods` restricts the rows, by name or label; `datasets` and, for few-shot, `shots` the columns. `labels` and
    `seeds` say which rows and seeds to expect, so that holes show. `published` adds to each board one with the
    distances to published figures."""

    protocols: Sequence[Protocol]
    methods: Sequence[str]
    labels: Sequence[str]
    seeds: Sequence[int]
    datasets: Sequence[str]
    shots: Sequence[int]
    published: bool


def boards(
    suite: Suite, record: Record, *, keys: Collection[str] | None = None, **selection: Unpack[Selection]
) -> list[Board]:
    """`boards_of` the recorded runs with these keys, or all."""
    return boards_of(Outline.of(suite), record.results(suite.name, keys), **selection)


def boards_of(outline: Outline, results: Sequence[StoredResult], **selection: Unpack[Selection]) -> list[Board]:
    """One board for each protocol, from results of one suite. Raises UserError for a method without results, and for
    runs that may not be mixed."""
    methods, protocols = selection.get("methods", ()), selection.get("protocols", ())
    frame = tidy(of_methods(methods, results) if methods and results else results)
    read = {result.label: dict.fromkeys(score.reading for score in result.scores) for result in results}
    labels = [
        reading_label(label, reading)
        for label in selection.get("labels", ())
        for reading in {"": None} | read.get(label, {})
    ]
    seeds, few = selection.get("seeds", ()), selection.get("shots", ()) or outline.few_shot_shots
    made = []
    for protocol in protocols or [protocol for protocol in PROTOCOLS if (frame["protocol"] == protocol).any()]:
        columns = outline.columns(protocol, selection.get("datasets", ()))
        if columns:
            made.append(leaderboard(frame, protocol, columns, labels=labels, seeds=seeds, shots=few))
            if selection.get("published", False):
                made.append(
                    distance_board(
                        frame,
                        load_published(),
                        protocol,
                        columns,
                        labels=labels,
                        seeds=seeds,
                        shots=few,
                        barred=outline.barred,
                    )
                )
    return made


def of_methods(methods: Sequence[str], results: Sequence[StoredResult]) -> list[StoredResult]:
    """The results of these methods, by name or label. Raises UserError for one without results."""
    known = {result.method for result in results} | {result.label for result in results}
    for name in methods:
        if name not in known:
            raise unknown("recorded method", name, known)
    return [result for result in results if result.method in methods or result.label in methods]
