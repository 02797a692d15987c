"""The process that runs a run, and whether it is still alive."""

import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.recording import names

HEARTBEAT_SECONDS = 600.0


@dataclass(frozen=True)
class Owner:
    """The process that runs a run.

    Attributes:
        host: The name of its machine.
        pid: Its number there.
        started: When it started, in seconds since the epoch.
        heartbeat: When it last showed that it is alive, in seconds since the epoch by the clock of the store.
        machine: Tells machines of one name apart; empty where it was not recorded.
    """

    host: str
    pid: int
    started: float
    heartbeat: float
    machine: str = ""

    @classmethod
    def current(cls, now: Callable[[], float] = time.time) -> "Owner":
        """This process, with a heartbeat of now.

        Args:
            now: The store's time, in seconds since the epoch.
        """
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time(), now(), this_machine())

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> "Owner | None":
        """Read the owner of a run.

        Args:
            tags: The run's tags.

        Returns:
            The owner; None when the tags name none.
        """
        try:
            return cls(
                names.OWNER_HOST.read(tags),
                names.OWNER_PID.read(tags),
                names.OWNER_STARTED.read(tags),
                names.OWNER_HEARTBEAT.read(tags),
                names.OWNER_MACHINE.read(tags),
            )
        except (KeyError, ValueError):
            return None

    def tags(self) -> dict[str, str]:
        """The tags that `of` reads."""
        return {
            **names.OWNER_HOST.of(self.host),
            **names.OWNER_PID.of(self.pid),
            **names.OWNER_STARTED.of(self.started),
            **names.OWNER_HEARTBEAT.of(self.heartbeat),
            **names.OWNER_MACHINE.of(self.machine),
        }

    def is_me(self) -> bool:
        """Whether this process is the owner."""
        return self._is_here() and self.pid == os.getpid() and self.alive()

    def alive(self, now: Callable[[], float] = time.time) -> bool:
        """Whether the owner still runs: asked of the system on this machine, judged by the heartbeat's age on another.

        Args:
            now: The store's time, in seconds since the epoch.
        """
        if not self._is_here():
            return now() - self.heartbeat < HEARTBEAT_SECONDS
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            # The kernel counts start times from a boot time that clock corrections move by a second.
            return abs(process.create_time() - self.started) < 2.0
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True

    def _is_here(self) -> bool:
        return self.host == socket.gethostname() and self.machine in ("", this_machine())


@cache
def this_machine() -> str:
    """What tells this machine apart from others of its name, such as copies of an image or containers.

    Returns:
        A digest of this start of the system and of the numbering of its processes; empty where neither is known.
    """
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        return digest(start, os.readlink("/proc/self/ns/pid"))[:16]
    except OSError:
        return ""
