"""Runs on a Ray cluster: actors that keep the backbone; this process alone schedules and records.

Ray places the actors, and starts an actor again, on another machine if need be, when its process or machine is lost.
Its runs then go on from the last epoch that they reported. Actors are used, not tasks: a task on a GPU starts a new
process each time. Only runs, curves, results and checkpoints travel, which are small.
"""

import contextlib
import importlib
import logging
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.running.clusters.parcel import Parcel, training_files
from promptarena.benchmark.running.clusters.ray_address import connect, reach
from promptarena.benchmark.running.clusters.ray_worker import GONE, Message, RayWorker
from promptarena.benchmark.running.execution import ExecutionConfig
from promptarena.benchmark.running.launcher import Done, EpochDone, Event, Quiet, RunFailedError, Started
from promptarena.benchmark.running.launchers.ray import RayOptions
from promptarena.benchmark.running.launchers.registry import Workers
from promptarena.benchmark.running.local_pool import THREADS
from promptarena.benchmark.running.schedule import Schedule
from promptarena.benchmark.running.serving import LEAVING, TOGETHER

HEAR_SECONDS = 5.0
GROW_SECONDS = 10.0
"""How often it is seen whether machines have joined."""

READY_SECONDS = 120.0
"""How long the first group waits for all actors to be checked; those that Ray cannot place yet may come later."""

HEAD_SECONDS = 20.0
"""How long the cluster's head may be out of reach. After a minute Ray ends this process, whatever it does."""

MOST_LOSSES = 3
"""A run fails when its worker was lost so many times in a row without finishing an epoch."""


@dataclass
class _Slot:
    """An actor. `waiting`: what it was asked last; `ready`: whether it is checked; `gone`: whether it takes no more;
    `group`: the number of its runs; `left`: those that are not finished, by number; `training`: the one that it trains,
    None while it works on all."""

    actor: Any
    waiting: Any
    ready: bool = False
    gone: bool = False
    group: int = 0
    left: dict[int, PlannedRun] = field(default_factory=dict)
    training: int | None = None


@dataclass(frozen=True)
class RayActors:
    """A launcher: actors of a Ray cluster that this process is connected to.

    Args:
        execution: How runs are carried out.
        requested: The most workers of each machine.
        options: Which cluster, and how much of it.
        on_gpus: Whether each actor gets a share of a GPU rather than a CPU core.
    """

    execution: ExecutionConfig
    requested: Workers
    options: RayOptions
    on_gpus: bool

    @classmethod
    def connect(cls, execution: ExecutionConfig, workers: Workers, options: RayOptions) -> "RayActors":
        """Connect to a cluster.

        Args:
            execution: How runs are carried out.
            workers: The most workers of each machine.
            options: Which cluster.

        Raises:
            UserError: Ray is missing, the cluster does not answer or has another version, or it has no such device.
        """
        if workers.devices:
            raise UserError("--devices: Ray gives each worker its device; --workers-per-gpu says how many share one")
        reach(options.address)
        try:
            ray = _ray()
        except ImportError as error:
            raise UserError("--launcher ray needs Ray; pip install 'promptarena[ray]'") from error
        if not ray.is_initialized():
            os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else Ray prints advice on it
            try:
                ray.init(options.address, log_to_driver=False, logging_level=logging.ERROR)
            except Exception as error:  # Ray raises errors of many kinds, also for versions that differ
                raise UserError(f"cannot use the Ray cluster {options.address}: {_in_one_line(error)}") from error
        gpus = ray.cluster_resources().get("GPU", 0.0)
        kind = execution.device.partition(":")[0]
        if kind not in ("auto", "cpu", "cuda") or ":" in execution.device:
            raise UserError(f"--device {execution.device}: on a Ray cluster give auto, cpu or cuda")
        return cls(execution, workers, options, on_gpus=kind == "cuda" or (kind == "auto" and gpus > 0))

    @property
    def workers(self) -> int:
        """The number of slots that the cluster has now, at least 1."""
        if self.options.actors:
            return self.options.actors
        machines: list[dict[str, float]] = [machine["Resources"] for machine in _ray().nodes() if machine["Alive"]]
        slots = (
            math.floor(resources.get("GPU", 0.0)) * (self.requested.per_gpu or 1)
            if self.on_gpus
            else math.floor(resources.get("CPU", 0.0))
            for resources in machines
        )
        return max(1, sum(min(count, self.requested.count or count) for count in slots))

    def preview(self, schedule: Schedule, seconds: Callable[[PlannedRun], float]) -> tuple[str, ...]:
        """See Launcher."""
        what = "GPU" if self.on_gpus else "CPU"
        return (f"Would start {min(self.workers, len(schedule.runs()))} actors, each on a slot of a {what}.",)

    def launch(self, schedule: Schedule) -> Generator[Event, None, None]:
        """See Launcher."""
        running = _Running(self, schedule)
        try:
            yield from running.events()
        finally:
            running.end()

    def actor(self, parcel: Parcel) -> Any:
        """A new actor; Ray starts it when and where there is room."""
        kind = (
            _ray()
            .remote(RayWorker)
            .options(
                num_cpus=0 if self.on_gpus else 1,
                num_gpus=1 / (self.requested.per_gpu or 1) if self.on_gpus else 0,
                max_restarts=-1,
                max_task_retries=0,  # a group must not run twice by itself: this process decides where it goes on
                scheduling_strategy="SPREAD",
                runtime_env={"env_vars": dict.fromkeys(THREADS, str(self.execution.threads))},
            )
        )
        return kind.remote(parcel)


class _Running:
    def __init__(self, launcher: RayActors, schedule: Schedule) -> None:
        self._ray = _ray()
        self._launcher = launcher
        self._schedule = schedule
        self._runs = schedule.runs()
        # An actor without GPUs of its own sees all of its machine, so its device is the CPU.
        device = "cuda:0" if launcher.on_gpus else "cpu"
        self._parcel = Parcel.pack(replace(launcher.execution, device=device), self._runs, "ray")
        self._slots: list[_Slot] = []
        self._begun: set[str] = set()
        self._losses: Counter[str] = Counter()
        self._groups = 0
        self._grown = 0.0
        self._head: str = self._ray.get_runtime_context().gcs_address
        self._head_seen = time.monotonic()

    def events(self) -> Generator[Event, None, None]:
        """Everything that happens, until no run is left."""
        self._grow()
        yield from self._until_ready()
        while self._schedule or any(slot.left for slot in self._slots):
            if self._head_answers() and time.monotonic() - self._grown > GROW_SECONDS:
                self._grow()
            for slot in self._slots:
                if slot.ready and not slot.left and (runs := self._schedule.take()):
                    yield from self._give(slot, runs)
            if not (answers := self._answers()):
                yield Quiet()
            for slot, answer in answers:
                yield from self._heard(slot, answer)

    def end(self) -> None:
        """End all actors."""
        cleaned = [slot.actor.clean.remote() for slot in self._slots if slot.ready]
        with contextlib.suppress(Exception):
            self._ray.wait(cleaned, num_returns=len(cleaned), timeout=2)
        for slot in self._slots:
            with contextlib.suppress(Exception):  # the cluster may be gone
                self._ray.kill(slot.actor)

    def _answers(self) -> list[tuple[_Slot, Any]]:
        """The actors that have answered, as soon as one has; none after a while. Raises UserError when Ray is gone."""
        asked = {slot.waiting: slot for slot in self._slots if slot.waiting is not None}
        if not asked:
            return []
        try:
            answered, _ = self._ray.wait(list(asked), num_returns=1, timeout=HEAR_SECONDS)
        except (OSError, self._ray.exceptions.RaySystemError) as error:  # Ray's own process on this machine is gone
            raise self._gone() from error
        return [(asked[answer], answer) for answer in answered]

    def _head_answers(self) -> bool:
        """Whether the cluster's head answers: questions to Ray wait for it. Raises UserError when it is gone."""
        try:
            connect(self._head)
        except OSError as error:
            if time.monotonic() - self._head_seen < HEAD_SECONDS:
                return False
            raise self._gone() from error
        self._head_seen = time.monotonic()
        return True

    def _gone(self) -> UserError:
        self._slots = []  # nothing can be asked of them any more
        return UserError(
            f"the Ray cluster {self._head} does not answer any more; start one, and give the same command: runs go on "
            "from their last epoch"
        )

    def _grow(self) -> None:
        """Start actors on slots that are free, as long as there are runs for them."""
        self._grown = time.monotonic()
        busy = sum(bool(slot.left) for slot in self._slots)
        count = min(self._launcher.workers, busy + len(self._schedule.runs()))
        while len(self._slots) < count:
            actor = self._launcher.actor(self._parcel)
            self._slots.append(_Slot(actor, actor.check.remote(self._runs)))

    def _until_ready(self) -> Iterator[Event]:
        """Wait until all actors are checked, so that nothing runs if one of them sees no data."""
        deadline = time.monotonic() + READY_SECONDS
        while any(not slot.ready for slot in self._slots):
            self._head_answers()
            late = time.monotonic() > deadline
            if late and any(slot.ready for slot in self._slots):
                return
            for slot, answer in self._answers():
                yield from self._heard(slot, answer)
            yield Quiet()

    def _give(self, slot: _Slot, runs: list[PlannedRun]) -> Iterator[Event]:
        results = self._launcher.execution.results
        self._groups += 1
        slot.group, slot.left, slot.training = self._groups, dict(enumerate(runs)), 0
        slot.actor.begin.remote(slot.group, runs, {run.train_key: training_files(results, run) for run in runs})
        slot.waiting = slot.actor.hear.remote(HEAR_SECONDS)
        yield from self._started(runs[0])

    def _started(self, run: PlannedRun) -> Iterator[Event]:
        if run.key not in self._begun:
            self._begun.add(run.key)
            yield Started(run)

    def _heard(self, slot: _Slot, answer: Any) -> Iterator[Event]:
        try:
            found = self._ray.get(answer)
        except self._ray.exceptions.RayError as error:
            yield from self._lost(slot, error)
            return
        if not slot.ready:
            if found:
                raise UserError(found)
            slot.ready, slot.waiting = True, None
            return
        for message in found:
            yield from self._events_of(slot, message)
        if slot.gone:
            self._put_back(slot)
            self._ray.kill(slot.actor, no_restart=False)
            self._restarted(slot)
        else:
            slot.waiting = slot.actor.hear.remote(HEAR_SECONDS) if slot.left else None

    def _events_of(self, slot: _Slot, message: Message) -> Iterator[Event]:
        group, (number, what), checkpoint = message
        if group != slot.group:
            return
        if number == TOGETHER:
            slot.training = None
        elif number == GONE:
            slot.gone = True
        elif number == LEAVING:
            pass  # what it still reports comes before GONE
        elif what is None:
            slot.training = number
            yield from self._started(slot.left[number])
        elif isinstance(what, dict):
            run = slot.left[number]
            if checkpoint is not None:
                self._losses[run.key] = 0
            yield EpochDone(run, what, checkpoint)
        else:
            yield Done(slot.left.pop(number), what)

    def _lost(self, slot: _Slot, error: Exception) -> Iterator[Event]:
        """An actor was lost: its runs go on with another one, or with itself when Ray has started it again."""
        if "creation task" in str(error) or "ModuleNotFoundError" in str(error):
            raise UserError(f"a worker of the Ray cluster cannot start: {_in_one_line(error)}") from error
        blamed = [run for number, run in slot.left.items() if slot.training in (None, number)]
        for run in blamed:
            self._losses[run.key] += 1
            if self._losses[run.key] >= MOST_LOSSES:
                slot.left = {number: other for number, other in slot.left.items() if other.key != run.key}
                reason = f"its worker was lost {MOST_LOSSES} times in a row: {_in_one_line(error)}"
                yield Done(run, RunFailedError(reason, "", users_fault=False))
        self._put_back(slot)
        if isinstance(error, self._ray.exceptions.ActorDiedError):
            slot.actor = self._launcher.actor(self._parcel)
        time.sleep(0.5)  # Ray answers at once while it starts an actor again
        self._restarted(slot)

    def _put_back(self, slot: _Slot) -> None:
        self._schedule.put_back(list(slot.left.values()), alone=slot.training is None)
        slot.left = {}

    def _restarted(self, slot: _Slot) -> None:
        slot.ready = slot.gone = False
        slot.waiting = slot.actor.check.remote(self._runs)


def _ray() -> Any:
    return importlib.import_module("ray")


def _in_one_line(error: BaseException) -> str:
    """What an error of Ray's says: its last line, where the cause is, or all of it where versions differ."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and lines[0].startswith("Version mismatch"):
        return " ".join(lines)
    return lines[-1] if lines else type(error).__name__
