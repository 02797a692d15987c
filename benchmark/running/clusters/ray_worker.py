"""The worker of a Ray cluster: one process on one slot of a machine, which keeps the backbone between its groups."""

import os
import queue
import shutil
import socket
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from promptarena.benchmark.backbone.seal import SharedStateChangedError
from promptarena.benchmark.core.errors import UserError, message_of
from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.running.clusters.parcel import Parcel, Scratch, check_here
from promptarena.benchmark.running.serving import Report, Served

GONE = -3
"""The number in a report: the worker runs nothing more, as a method has changed its process."""

Message = tuple[int, Report, bytes | None]
"""The number of a group, a report on it, and the checkpoint that belongs to an epoch."""


class RayWorker:
    """Runs groups of runs in a thread of its own, so that it can be heard meanwhile.

    Args:
        parcel: What it needs.
    """

    def __init__(self, parcel: Parcel) -> None:
        self._parcel = parcel
        self._given: queue.Queue[tuple[int, Sequence[PlannedRun], Mapping[str, Mapping[str, bytes]]]] = queue.Queue()
        self._messages: queue.Queue[Message] = queue.Queue()
        self._folder = Path(tempfile.mkdtemp(prefix="promptarena-"))
        self._scratch = Scratch(self._folder)
        self._group = 0
        self._runs: Sequence[PlannedRun] = ()
        self._checked = False

    def check(self, runs: Sequence[PlannedRun]) -> str:
        """Make ready on this machine.

        Args:
            runs: All runs that may come.

        Returns:
            What is missing here, in one line; empty when all is well.
        """
        if self._checked:  # it was out of reach meanwhile, and may still be at work: Ray starts it again
            os._exit(1)
        self._checked = True
        try:
            execution = self._parcel.unpack(self._folder)
            check_here(execution, runs)
        except UserError as error:
            return message_of(error)
        served = Served(execution, self._report)
        threading.Thread(target=self._serve, args=(served,), daemon=True).start()
        return ""

    def where(self) -> tuple[str, int]:
        """The machine's name and this process's number."""
        return socket.gethostname(), os.getpid()

    def begin(self, group: int, runs: Sequence[PlannedRun], files: Mapping[str, Mapping[str, bytes]]) -> None:
        """Take runs; what happens to them is heard.

        Args:
            group: A number for them.
            runs: The runs.
            files: What their trainings go on from, by the key of the training; as `training_files` gives it.
        """
        self._given.put((group, runs, files))

    def hear(self, seconds: float) -> list[Message]:
        """What happened since it was heard last.

        Args:
            seconds: How long to wait for something to happen.
        """
        messages: list[Message] = []
        with suppress(queue.Empty):
            messages.append(self._messages.get(timeout=seconds))
            while True:
                messages.append(self._messages.get_nowait())
        return messages

    def clean(self) -> None:
        """Remove what it wrote on its machine."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self, served: Served) -> None:
        while True:
            self._group, self._runs, files = self._given.get()
            self._scratch.clear()
            for run in self._runs:
                self._scratch.put(run, files.get(run.train_key, {}))
            try:
                served.run(self._runs)
            except SharedStateChangedError:
                self._messages.put((self._group, (GONE, None), None))
                return

    def _report(self, report: Report) -> None:
        number, what = report
        checkpoint = self._scratch.changed(self._runs[number]) if isinstance(what, dict) else None
        self._messages.put((self._group, report, checkpoint))
