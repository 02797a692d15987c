"""What `promptarena published` does: list the methods with published figures, and show those of one."""

import math
from collections.abc import Hashable, Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from promptarena.benchmark.cli.commands import terminal
from promptarena.benchmark.core import protocol_table
from promptarena.benchmark.core.errors import unknown
from promptarena.benchmark.published.load import load_published
from promptarena.benchmark.published.rows import AVERAGE, KINDS, SOURCE, STANDARD

if TYPE_CHECKING:
    import pandas as pd

FLAG = "!"
OTHER_SETTING = "another setting"
"""What the remark says of figures that must not be compared with those of few-shot methods."""
ALL = "all"
_PROTOCOLS = {name: info for name, info in protocol_table.PROTOCOLS.items() if info.published}
"""The protocols that have published figures."""

_DATASETS = tuple(dict.fromkeys((AVERAGE, SOURCE, *(name for info in _PROTOCOLS.values() for name in info.published))))
_METRICS = {"base": "base", "novel": "novel", "hm": "HM", "accuracy": "accuracy"}
_LEGEND = (
    "own paper: printed by the method's authors. quoted: printed by others as the method's own. secondary: from a "
    "summary page. re-run: run by others. bound: a lower bound."
)


def print_published_list() -> None:
    """Print a table of all methods with published figures: how many in each protocol, and of which kinds."""
    published, console = load_published(), terminal.console()
    table = terminal.table(
        "method", *(info.heading for info in _PROTOCOLS.values()), "own\npaper", "quoted", "other", "flagged"
    )
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    for method, rows in published.groupby("method", sort=False):
        of_protocols = [rows["protocol"] == protocol for protocol in _PROTOCOLS]
        of_kinds = [*(rows["kind"] == kind for kind in STANDARD), ~rows["kind"].isin(STANDARD)]
        counts = [str(of.sum() or "–") for of in (*of_protocols, *of_kinds, rows["flag"] != "")]
        other = rows["remark"].str.contains(OTHER_SETTING).all()
        terminal.add(table, f"{method} *" if other else str(method), *counts)
    console.print(table, soft_wrap=False)
    console.print(f"{len(published)} figures, CLIP ViT-B/16. {_LEGEND}", soft_wrap=False)
    console.print("other: the last three. flagged: not in agreement with its own table.", soft_wrap=False)
    console.print(f"*: {OTHER_SETTING}; the remark says which.", soft_wrap=False)
    console.print("A method's figures and sources: promptarena published show METHOD", soft_wrap=False)


def print_published(name: str) -> None:
    """Print a method's published figures by protocol and dataset, with their sources. UserError if there are none.

    `name` is the method's name, or the name that a source prints; upper and lower case are the same.
    """
    published, console = load_published(), terminal.console()
    called = {word.casefold(): method for word, method in zip(published["printed"], published["method"], strict=True)}
    called |= {method.casefold(): method for method in published["method"]}
    if name.casefold() not in called:
        raise unknown("method with published figures", name, published["method"].unique())
    method = called[name.casefold()]
    rows = published[published["method"] == method]
    numbers = {source: number for number, source in enumerate(rows["source"].unique(), start=1)}
    printed = ", ".join(rows["printed"].unique())
    console.print(f"{method}: published figures in percent, CLIP ViT-B/16; printed as {printed}", soft_wrap=False)
    for protocol in _PROTOCOLS:
        of_protocol = rows[rows["protocol"] == protocol]
        if not of_protocol.empty:
            console.print(f"\n{protocol}")
            console.print(_table(of_protocol, numbers), soft_wrap=False)
    console.print()
    for source, number in numbers.items():
        console.print(f"[{number}] {source}", soft_wrap=False)
    for remark, source in dict.fromkeys(zip(rows["remark"], rows["source"], strict=True)):
        if remark:
            console.print(f"[{numbers[source]}] {remark}", soft_wrap=False)
    _print_flags(console, rows, numbers)
    console.print(_LEGEND, soft_wrap=False)
    console.print("Of each figure the first line counts, if it is an own paper's or quoted.", soft_wrap=False)


def _table(rows: "pd.DataFrame", numbers: dict[str, int]) -> Table:
    """A table with a line per dataset, shots and kind, and the figures that sources agree on."""
    metrics = [metric for metric in _METRICS if (rows["metric"] == metric).any()]
    table = terminal.table("dataset", "shots", *(_METRICS[metric] for metric in metrics), "kind", "sources")
    for column in table.columns[1 : 2 + len(metrics)]:
        column.justify = "right"
    lines: dict[tuple[str, ...], list[str]] = {}
    for row in _lines(rows, metrics):
        lines.setdefault(row[:-1], []).append(f"[{numbers[row[-1]]}]")
    for cells, sources in lines.items():
        terminal.add(table, *cells, "".join(sources))
    return table


def _lines(rows: "pd.DataFrame", metrics: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Dataset, shots, a number for each metric (flagged ones marked), kind and source, the preferred source first."""

    def place(row: dict[Hashable, Any]) -> tuple[int, float, int]:
        shots = math.inf if row["shots"] == ALL else float(row["shots"])
        return _DATASETS.index(row["dataset"]), shots, KINDS.index(row["kind"])

    written = rows.assign(shots=rows["shots"].astype("string").fillna(ALL))
    in_order = sorted(written.to_dict("records"), key=place)
    for _, group in groupby(in_order, key=lambda row: (place(row), row["source"])):
        same = list(group)
        texts = {row["metric"]: row["text"] + FLAG * bool(row["flag"]) for row in same}
        numbers = [texts.get(metric, "–") for metric in metrics]
        yield (same[0]["dataset"], same[0]["shots"], *numbers, same[0]["kind"], same[0]["source"])


def _print_flags(console: Console, rows: "pd.DataFrame", numbers: dict[str, int]) -> None:
    for row in rows[rows["flag"] != ""].to_dict("records"):
        figure = f"{row['protocol']}, {row['dataset']} {_METRICS[row['metric']]} [{numbers[row['source']]}]"
        console.print(f"{FLAG} {figure}: {row['flag']}", soft_wrap=False)
