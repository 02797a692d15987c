"""What the data formats share: a cell as plain values."""

from typing import Any

from promptarena.benchmark.leaderboard.model import Cell


def figure(cell: Cell) -> dict[str, Any]:
    """A cell as plain values, unrounded, in the unit of its column. `low95` and `high95` bound the 95 % interval."""
    return {
        "value": cell.value,
        "std": cell.std,
        "low95": cell.low,
        "high95": cell.high,
        "n": cell.n,
        "correct": cell.correct,
        "total": cell.total,
        "filled": cell.filled,
        "wanted": cell.expected,
        "parts": cell.parts,
        "reason": cell.reason,
    }
