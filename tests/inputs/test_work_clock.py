"""Time is charged to the one a device works for, on a GPU by marks in its queue and without waiting for it."""

from typing import Any

import pytest
import torch

from promptarena.benchmark.inputs import work_clock
from promptarena.benchmark.inputs.work_clock import NOBODY, WorkClock


class Queue:
    """A GPU's: work is queued at once and done later, in order; `waits` counts who waited for it."""

    def __init__(self) -> None:
        self.queued = 0.0
        self.waits = 0

    def event(self, **_: Any) -> "Event":
        return Event(self)

    def work(self, seconds: float) -> None:
        self.queued += seconds


class Event:
    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.reached = -1.0

    def record(self, _: Any) -> None:
        self.reached = self._queue.queued

    def synchronize(self) -> None:
        self._queue.waits += 1

    def elapsed_time(self, other: "Event") -> float:
        assert self._queue.waits, "the device was not waited for, so that no time is known"
        return 1000 * (other.reached - self.reached)


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    queue = Queue()
    monkeypatch.setattr(torch.cuda, "Event", queue.event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: None)
    return queue


@pytest.fixture(params=["cpu", "cuda"])
def charged(request: pytest.FixtureRequest, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock, and how a device works for some seconds."""
    if request.param == "cpu":
        monkeypatch.setattr(work_clock.time, "perf_counter", lambda: queue.queued)
    return WorkClock(torch.device(request.param)), queue.work


def test_time_is_charged_to_the_innermost_and_nothing_counts_twice(charged: Any) -> None:
    clock, work = charged
    work(1)
    with clock.charged_to("one"):
        work(2)
        with clock.charged_to("shared"):
            work(4)
            with clock.charged_to("shared"):
                work(8)
        work(16)
    with clock.charged_to("other"):
        work(32)
    assert clock.seconds() == {NOBODY: 1, "one": 18, "shared": 12, "other": 32}


def test_who_raises_is_charged_until_then(charged: Any) -> None:
    clock, work = charged

    def broken() -> None:
        with clock.charged_to("one"):
            work(2)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        broken()
    work(1)
    assert clock.seconds() == {NOBODY: 1, "one": 2}


def test_a_gpu_is_waited_for_only_when_the_seconds_are_read(queue: Queue) -> None:
    clock = WorkClock(torch.device("cuda"))
    for _ in range(3):
        with clock.charged_to("one"):
            queue.work(1)
    assert queue.waits == 0
    assert clock.seconds()["one"] == 3
    assert queue.waits == 1
