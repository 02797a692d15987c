"""The runs behind every figure as plain values, for cells that are opened and methods that are compared."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptarena.benchmark.core.protocol_table import METRICS, protocol_info
from promptarena.benchmark.leaderboard.spread import student_t
from promptarena.benchmark.report.overview import Overview
from promptarena.benchmark.report.sections import Section
from promptarena.benchmark.report.verdict import headline

MOST_SEEDS = 31
"""The page compares two methods with an interval up to so many seeds."""

Entry = list[Any]
"""[shots, seed, run id, correct, total, correct, total, ...]: a run's counts, for each subset in turn."""


def evidence_of(
    sections: Sequence[Section], overview: Overview, commands: Mapping[tuple[str, str], tuple[str, str]]
) -> dict[str, Any]:
    """Collect the runs.

    Args:
        sections: The protocols.
        overview: The first screen's table, which has all methods.
        commands: The beginning and the end of the command that makes a method's runs, by protocol and label.

    Returns:
        JSON values. "methods" lists [label, family]; "t" has the 97.5 % quantiles of Student's t from one degree of
        freedom on; "datasets" has the titles. "protocols" has by name: "title"; "metric" (its words); "subsets";
        "headline" (places in it of those of the headline metric); "shots" (of the headline; 0 without); "transfer";
        "source"; "cells" (the entries by a method's place in the list and by dataset); "commands" (by place); "pairs"
        ([first, second, difference, low, high, p after correction or null, significant] in points).
    """
    places = {row.label: place for place, row in enumerate(overview.rows)}
    return {
        "methods": [[row.label, row.family] for row in overview.rows],
        "t": [student_t(freedom) for freedom in range(1, MOST_SEEDS)],
        "datasets": {name: title for section in sections for name, title in section.query.datasets},
        "protocols": {
            section.protocol: _protocol(section, places) | {"commands": _commands(section, overview, commands)}
            for section in sections
        },
    }


def _commands(
    section: Section, overview: Overview, commands: Mapping[tuple[str, str], tuple[str, str]]
) -> dict[int, tuple[str, str]]:
    keys = ((place, (section.protocol, row.plain)) for place, row in enumerate(overview.rows))
    return {place: commands[key] for place, key in keys if key in commands}


def _protocol(section: Section, places: Mapping[str, int]) -> dict[str, Any]:
    info, column, ranking = protocol_info(section.protocol), headline(section), section.ranking
    metric = column.metric or info.headline
    subsets = list(dict.fromkeys(subset for each in info.metrics for subset in METRICS[each].subsets))
    holm = ranking is not None and ranking.critical_difference is None
    pairs = [
        [
            places[pair.first],
            places[pair.second],
            *(round(value, 4) for value in (pair.difference, pair.low, pair.high)),
            float(f"{pair.p_holm:.2g}") if holm else None,
            int(pair.significant),
        ]
        for pair in (ranking.pairs if ranking else ())
        if {pair.first, pair.second} <= set(places)
    ]
    return {
        "title": section.board.title,
        "metric": METRICS[metric].words,
        "subsets": subsets,
        "headline": [subsets.index(subset) for subset in METRICS[metric].subsets],
        "shots": column.shots or 0,
        "transfer": info.is_transfer,
        "source": section.query.datasets[0][0] if info.is_transfer else "",
        "cells": _cells(section, places, subsets),
        "pairs": pairs,
    }


def _cells(section: Section, places: Mapping[str, int], subsets: Sequence[str]) -> dict[int, dict[str, list[Entry]]]:
    rows = section.query.rows
    by_shots = protocol_info(section.protocol).by_shots
    found: dict[tuple[int, str, str], Entry] = {}
    for row in rows.frame.to_dict("records"):
        label = row["label"]
        if label not in places or row["target_subset"] not in subsets:
            continue

        key = (places[label], row["target_dataset"], row["run_id"])
        if key not in found:
            shots = int(row["shots"]) if by_shots else 0
            found[key] = [shots, _number(row["seed"]), row["run_id"], *[0] * (2 * len(subsets))]
        place = 3 + 2 * subsets.index(row["target_subset"])
        found[key][place : place + 2] = [int(row["correct"]), int(row["total"])]
    cells: dict[int, dict[str, list[Entry]]] = {}
    for (method, dataset, _), entry in found.items():
        cells.setdefault(method, {}).setdefault(dataset, []).append(entry)
    return cells


def _number(seed: Any) -> int | None:
    import pandas as pd

    return None if pd.isna(seed) else int(seed)
