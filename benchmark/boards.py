"""The leaderboards of a suite, from the record."""

from collections.abc import Collection, Sequence

from promptarena.benchmark.board import Board
from promptarena.benchmark.distance_board import distance_board
from promptarena.benchmark.errors import unknown
from promptarena.benchmark.frame import reading_label, tidy
from promptarena.benchmark.leaderboard import leaderboard
from promptarena.benchmark.published import load_published
from promptarena.benchmark.record import Record
from promptarena.benchmark.record_index import StoredResult
from promptarena.benchmark.spec import PROTOCOLS, Protocol
from promptarena.benchmark.suites import Suite, TrainingDefaults


def boards(
    suite: Suite,
    record: Record,
    *,
    keys: Collection[str] | None = None,
    protocols: Sequence[Protocol] = (),
    methods: Sequence[str] = (),
    labels: Sequence[str] = (),
    seeds: Sequence[int] = (),
    datasets: Sequence[str] = (),
    shots: Sequence[int] = (),
    published: bool = False,
) -> list[Board]:
    """One board for each protocol that has results (or is named in `protocols`), from the runs with these keys or all.

    `methods` restricts the rows, by name or label; `datasets` and, for few-shot, `shots` the columns. `labels` and
    `seeds` say which rows and seeds to expect, so that holes show. `published` adds to each board one with the
    distances to published figures. Raises UserError for a method without results.
    """
    results = record.results(suite.name, keys)
    frame = tidy(_of(methods, results) if methods and results else results)
    read = {result.label: dict.fromkeys(score.reading for score in result.scores) for result in results}
    labels = [reading_label(label, reading) for label in labels for reading in {"": None} | read.get(label, {})]
    shown = protocols or [protocol for protocol in PROTOCOLS if (frame["protocol"] == protocol).any()]
    made = []
    for protocol in shown:
        columns = [(name, suite.card(name).title) for name in _columns(suite, protocol, datasets)]
        if columns:
            few = shots or suite.few_shot_shots
            made.append(leaderboard(frame, protocol, columns, labels=labels, seeds=seeds, shots=few))
            if published:
                made.append(
                    distance_board(
                        frame,
                        load_published(),
                        protocol,
                        columns,
                        labels=labels,
                        seeds=seeds,
                        shots=few,
                        barred=_barred(suite),
                    )
                )
    return made


def _barred(suite: Suite) -> str:
    """Why no figure of a suite may be held against a published one; empty when nothing forbids it."""
    if suite.training != TrainingDefaults():
        return "recipes changed by the suite"
    return "" if suite.backbone.pretrained == "openai" else "weights other than the tag openai"


def _columns(suite: Suite, protocol: Protocol, datasets: Sequence[str]) -> list[str]:
    targets = {"cross-dataset": suite.targets, "domain-generalization": suite.variants}.get(protocol)
    if targets is None:
        return [name for name in suite.datasets if not datasets or name in datasets]
    wanted = [name for name in targets if not datasets or name in datasets]
    return [suite.source, *wanted] if suite.source and wanted else []


def _of(methods: Sequence[str], results: Sequence[StoredResult]) -> list[StoredResult]:
    known = {result.method for result in results} | {result.label for result in results}
    for name in methods:
        if name not in known:
            raise unknown("recorded method", name, known)
    return [result for result in results if result.method in methods or result.label in methods]
