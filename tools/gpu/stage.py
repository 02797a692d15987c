"""A stage of the check: a table whose cells are measured one row after the other, while there is time."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from promptarena.benchmark.core.errors import one_line
from tools.speed.world import World

NOT_MEASURED = "not measured"
Row = tuple[str, ...]


@dataclass(frozen=True)
class Setting:
    """On what is measured.

    Attributes:
        device: The device; None where there is none, and nothing is measured.
        world: A model with drawn weights.
        until: When measuring ends, in seconds of `time.monotonic`.
        quick: Whether a few repetitions do.
        folder: A folder for what is written meanwhile.
    """

    device: torch.device | None
    world: World
    until: float
    quick: bool
    folder: Path

    @property
    def times(self) -> int:
        """Repetitions of what is timed."""
        return 2 if self.quick else 20

    def synchronize(self) -> None:
        """Wait for the device."""
        if self.device is not None and self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, work: Callable[[], object]) -> float:
        """Seconds of a call: the mean of several after one that is not counted."""
        work()
        self.synchronize()
        started = time.perf_counter()
        for _ in range(self.times):
            work()
        self.synchronize()
        return (time.perf_counter() - started) / self.times


@dataclass(frozen=True)
class Stage:
    """One table.

    Attributes:
        name: One word.
        title: What is measured.
        labels: The headers of a row's label.
        headers: The headers of what is measured.
        rows: The label of each row.
        measure: Measures a row: a cell for each of `headers`. A cell that begins with "failed" makes the check fail.
        note: How it was measured, and what was expected.
    """

    name: str
    title: str
    labels: Row
    headers: Row
    rows: Sequence[Row]
    measure: Callable[[Setting, Row], Row]
    note: str


@dataclass
class Outcome:
    """What a stage found."""

    stage: Stage
    state: str
    cells: list[Row] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether a row failed."""
        return any(cell.startswith("failed") for row in self.cells for cell in row)

    def markdown(self) -> str:
        """The table."""
        stage = self.stage
        head = [*stage.labels, *stage.headers]
        body = [[*row, *cells] for row, cells in zip(stage.rows, self.cells, strict=True)]
        lines = [head, ["---"] * len(head), *body]
        table = "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
        return f"## {stage.title}\n\n{stage.name}: {self.state}\n\n{table}\n\n{stage.note}\n"

    def plain(self) -> dict[str, object]:
        """The same for JSON: cells by row and header; null where nothing was measured."""
        rows = [
            dict(zip(self.stage.labels, row, strict=True))
            | {
                header: None if cell == NOT_MEASURED else cell
                for header, cell in zip(self.stage.headers, cells, strict=True)
            }
            for row, cells in zip(self.stage.rows, self.cells, strict=True)
        ]
        return {"stage": self.stage.name, "state": self.state, "rows": rows}


class TimeIsUp(BaseException):
    """The time for all stages is over."""


@contextmanager
def cut_off(until: float) -> Iterator[None]:
    """Raise TimeIsUp in what runs here when the time is over; in the main thread.

    Args:
        until: When, in seconds of `time.monotonic`.
    """
    left = until - time.monotonic()
    if left == float("inf"):
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(left, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def carried_out(stage: Stage, setting: Setting, say: Callable[[str], None]) -> Outcome:
    """Measure a stage. A row that raises is a failed one; the others are measured all the same.

    Args:
        stage: The stage.
        setting: On what.
        say: Gets a line for the stage and one for each row.

    Returns:
        The outcome; without a device, or after the time, its cells say that they were not measured. So do those of the
        row that was being measured then.
    """
    nothing = (NOT_MEASURED,) * len(stage.headers)
    if setting.device is None:
        state = "no CUDA device: skipped"
        say(f"{stage.name}: {state}")
        return Outcome(stage, state, [nothing for _ in stage.rows])
    outcome, started = Outcome(stage, ""), time.monotonic()
    for row in stage.rows:
        if time.monotonic() > setting.until:
            outcome.cells.append(nothing)
            continue
        try:
            with cut_off(setting.until):
                cells = stage.measure(setting, row)
        except TimeIsUp:
            cells = nothing
        except Exception as error:  # whatever a device, a compiler or a method may raise
            cells = (f"failed: {one_line(error)}", *nothing[1:])
        outcome.cells.append(cells)
        say(f"{stage.name}: {' '.join(row)}: {', '.join(cells)}")
    left = sum(cells == nothing for cells in outcome.cells)
    outcome.state = f"{len(stage.rows) - left} of {len(stage.rows)} rows in {time.monotonic() - started:.0f} s"
    say(f"{stage.name}: {outcome.state}")
    return outcome
