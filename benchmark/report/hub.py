"""Results in the forms of the Hugging Face Hub: a model card for each method, and evaluation results."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.protocol_table import METRICS, Metric
from promptarena.benchmark.leaderboard.formats.render import render
from promptarena.benchmark.leaderboard.model import Board, Cell
from promptarena.benchmark.report.sections import Section
from promptarena.benchmark.report.verdict import reference_label

TASK = "zero-shot-image-classification"
"""The Hub's name for what models of CLIP's kind do: classify images by the names of their classes."""
CARD = "README.md"
RESULTS = ".eval_results"
"""The folder of a model's repository in which the Hub looks for evaluation results."""


class _Figure(NamedTuple):
    """A complete figure of one method on one dataset, in percent."""

    protocol: str
    dataset: str
    metric: Metric
    shots: int | None
    cell: Cell

    @property
    def task(self) -> str:
        """What tells it from the suite's other figures, such as "few-shot-food-accuracy-4"."""
        return "-".join(filter(None, (self.protocol, self.dataset, self.metric, str(self.shots or ""))))


def write_cards(folder: Path, sections: Sequence[Section], benchmark: str = "") -> list[Path]:
    """Write a folder for each method, as the files of a model's repository on the Hub.

    Each has a model card: metadata with the method's figures as `model-index`, and tables of the method and zero-shot.

    Args:
        folder: The folder of the folders; it is created if missing.
        sections: The protocols with all that was made of their results.
        benchmark: The id of the Hub's dataset that is the benchmark, such as "owner/name". With it, the figures are
            also written to `.eval_results/SUITE.yaml`, which the Hub shows on the benchmark's leaderboard. Empty: they
            are not.

    Returns:
        The cards.

    Raises:
        UserError: `benchmark` is no id, two methods would share a folder, or a file cannot be written.
    """
    import yaml

    if benchmark and not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", benchmark):
        raise UserError(f"a dataset's id on the Hub is OWNER/NAME, got {benchmark!r}")
    labels = dict.fromkeys(row.name for section in sections for row in section.board.tables[0].rows)
    places: dict[str, Label] = {}
    for label in labels:
        place = re.sub(r"[^\w.]+", "-", str(label)).strip("-.")
        if place in places:
            raise UserError(
                f"{places[place]} and {label} would both be written to {folder / place}; choose with --methods"
            )
        places[place] = label
    first = sections[0].board
    for place, label in places.items():
        figures = list(_figures(label, sections))
        if benchmark:
            entries = [_entry(benchmark, each, first) for each in figures]
            content = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True)
            write_atomically(folder / place / RESULTS / f"{first.suite}.yaml", content)
        write_atomically(folder / place / CARD, _card(label, sections, figures))
    return [folder / place / CARD for place in places]


def _card(label: Label, sections: Sequence[Section], figures: Sequence[_Figure]) -> str:
    """The model card of a method: the metadata block, and its tables."""
    from huggingface_hub import EvalResult, ModelCardData

    first = sections[0].board
    titles = {section.protocol: section.board.title for section in sections}
    results = [
        EvalResult(
            task_type=TASK,
            task_name=titles[each.protocol],
            dataset_type=each.dataset,
            dataset_name=each.dataset,
            # The Hub merges figures of one task, dataset, configuration and split.
            dataset_config=each.protocol,
            dataset_split="test",
            metric_type=each.metric,
            metric_name=METRICS[each.metric].words + (f", {each.shots} shots" if each.shots else ""),
            metric_value=_rounded(each.cell),
        )
        for each in figures
    ]
    data = ModelCardData(
        model_name=str(label),
        eval_results=results or None,
        library_name="promptarena",
        pipeline_tag=TASK,
        tags=["clip", "prompt-learning", label.method],
    )
    shown = [_beside_reference(section, label) for section in sections]
    tables = "\n".join(render(board, "md") for board in shown if board.tables)
    words = "measured with promptarena: means over seeds ± the sample standard deviation"
    heading = f"# {label} on {first.suite}\n\n`{label}` on {first.backbone}, {words}."
    return f"---\n{data.to_yaml()}\n---\n\n{heading}\n\n{tables}"


def _beside_reference(section: Section, label: Label) -> Board:
    """The leaderboard with the rows of the method and of the reference only."""
    kept = {str(label), reference_label(section)}
    tables = [
        replace(table, rows=tuple(row for row in table.rows if row.label in kept)) for table in section.board.tables
    ]
    has = any(row.name == label for row in section.board.tables[0].rows)
    return replace(section.board, tables=tuple(tables) if has else (), notes=(), brief=())


def _figures(label: Label, sections: Sequence[Section]) -> Iterator[_Figure]:
    for section in sections:
        for table in section.board.tables:
            cells = next((row.cells for row in table.rows if row.name == label), ())
            for column, cell in zip(table.columns, cells, strict=bool(cells)):
                dataset = column.dataset or table.dataset
                if dataset and column.metric and cell.full:
                    yield _Figure(section.protocol, dataset, column.metric, column.shots, cell)


def _entry(benchmark: str, figure: _Figure, board: Board) -> dict[str, Any]:
    """A figure as the Hub reads it from `.eval_results` (https://huggingface.co/docs/hub/eval-results)."""
    spread = "" if figure.cell.std is None else f", standard deviation {figure.cell.std:.2f}"
    return {
        "dataset": {"id": benchmark, "task_id": figure.task},
        "value": _rounded(figure.cell),
        "notes": f"suite {board.suite}, {board.backbone}, mean of {figure.cell.n} seeds{spread}",
    }


def _rounded(cell: Cell) -> float:
    assert cell.value is not None
    return round(cell.value, 2)
