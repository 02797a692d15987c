"""A record whose server goes away: tried again, and then what is computed waits in the outbox."""

from pathlib import Path
from typing import Any

import pytest
from record_runs import plan, result

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.planning.estimates import Estimator
from promptarena.benchmark.planning.suites import load_suite
from promptarena.benchmark.recording.index import RecordedRun
from promptarena.benchmark.recording.record import ParentRuns, RunTakenError, StoreAwayError
from promptarena.benchmark.running import bookkeeper
from promptarena.benchmark.running.bookkeeper import Bookkeeper
from promptarena.benchmark.running.launcher import Done, EpochDone, RunFailedError, Started

RUNS = [plan("mini", seed=seed) for seed in (1, 2)]
FINISHED = RecordedRun("id", "key", "finished", False)


class Away:
    """A record that does not answer for a number of calls, and then keeps what it is given."""

    def __init__(self, calls: int) -> None:
        self.calls, self.done = calls, list[str]()

    def __getattr__(self, name: str) -> Any:
        def called(*_: Any, **__: Any) -> str:
            if self.calls > 0:
                self.calls -= 1
                raise StoreAwayError("cannot record: Connection refused")
            self.done.append(name)
            return "id"

        return called


class Shown:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda run, *_: self.lines.append(f"{name} {run.spec.seed}")


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between trials, on a clock that they move."""
    found: list[float] = []
    monkeypatch.setattr(bookkeeper.time, "sleep", found.append)
    monkeypatch.setattr(bookkeeper.time, "monotonic", lambda: sum(found))
    return found


def keeper(record: Any, results: Path, *, learner: bool = False) -> tuple[Bookkeeper, Shown]:
    shown, parents = Shown(), {run.spec.name: ParentRuns("c", "m") for run in RUNS}
    kept = {RUNS[0].train_key: FINISHED} if learner else {}
    found = Bookkeeper(load_suite("mini"), RUNS, kept, parents, record, results, Estimator(), shown)  # type: ignore[arg-type]
    return found, shown


def live(found: Bookkeeper, run: PlannedRun) -> None:
    found.handle(Started(run))
    found.handle(EpochDone(run, {"epoch": 1.0}, b"state"))
    found.handle(Done(run, result()))


def test_a_server_that_is_away_for_a_while_costs_nothing(
    tmp_path: Path, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    record = Away(4)
    found, shown = keeper(record, tmp_path)
    assert found.claim(RUNS[0])
    live(found, RUNS[0])
    assert record.done == ["begin", "log_epochs", "finish", "release"]
    assert pauses == [1, 2, 4, 8]
    assert len(caplog.records) == 1
    assert found.waiting is None
    assert shown.lines == ["started 1", "epoch 1", "finished 1"]
    assert (tmp_path / "checkpoints" / RUNS[0].train_key / "checkpoint.safetensors").read_bytes() == b"state"


def test_what_is_computed_while_it_stays_away_waits_in_the_outbox(tmp_path: Path) -> None:
    record = Away(0)
    found, shown = keeper(record, tmp_path)
    assert found.claim(RUNS[0])
    record.calls = 1000
    live(found, RUNS[0])
    assert found.waiting == 1
    assert found.outbox.outcome(RUNS[0].key) == result()
    assert not found.claim(RUNS[1]), "no more runs are begun"
    assert "taken 2" not in shown.lines


def test_what_was_handed_in_is_removed_once_it_is_recorded(tmp_path: Path) -> None:
    found, _ = keeper(Away(0), tmp_path)
    for run, outcome in zip(RUNS, (result(), RunFailedError("no", "", users_fault=False)), strict=True):
        found.outbox.post_outcome(run.key, outcome)
        assert found.claim(run)
        found.handle(Done(run, outcome))
    assert found.outbox.files() == frozenset()
    assert [run for run, _ in found.failures] == [RUNS[1]]


def test_a_run_of_another_process_is_left_to_it(tmp_path: Path) -> None:
    class Taken(Away):
        def begin(self, *_: Any) -> str:
            raise RunTakenError("by another")

    found, shown = keeper(Taken(0), tmp_path)
    assert not found.claim(RUNS[0])
    assert shown.lines == ["taken 1"]


@pytest.mark.parametrize("away", [0, 4, 1000])
def test_a_kept_learner_is_handed_over_once_the_record_answers(
    away: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, handed = Away(0), list[PlannedRun]()

    def hand_over(record: Any, finished: RecordedRun, run: PlannedRun, folder: Path) -> None:
        record.artifact()
        assert finished == FINISHED
        handed.append(run)

    monkeypatch.setattr(bookkeeper, "hand_over", hand_over)
    found, shown = keeper(record, tmp_path, learner=True)
    begin = found._record.begin
    record.begin = lambda *_: (begin(), setattr(record, "calls", away))[0]  # type: ignore[attr-defined]
    stays_away = away == 1000
    assert found.claim(RUNS[0]) is not stays_away
    assert handed == ([] if stays_away else [RUNS[0]])
    assert not shown.lines, "it does not say that it is trained again"
    assert found.claim(RUNS[0]) is not stays_away
    assert len(handed) <= 1


def test_a_kept_learner_that_cannot_be_used_is_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hand_over(*_: Any) -> None:
        raise UserError("damaged")

    monkeypatch.setattr(bookkeeper, "hand_over", hand_over)
    found, shown = keeper(Away(0), tmp_path, learner=True)
    assert found.claim(RUNS[0])
    assert shown.lines == ["trained_again 1"]
