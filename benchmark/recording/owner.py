"""The process that runs a run, and whether it is still alive."""

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from promptarena.benchmark.recording import names

HEARTBEAT_SECONDS = 600.0


@dataclass(frozen=True)
class Owner:
    """The process that runs a run.

    Attributes:
        host: The name of its machine.
        pid: Its number there.
        started: When it started, in seconds since the epoch.
        heartbeat: When it last showed that it is alive, in seconds since the epoch.
    """

    host: str
    pid: int
    started: float
    heartbeat: float

    @classmethod
    def current(cls) -> "Owner":
        """This process, with a heartbeat of now."""
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time(), time.time())

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
        }

    def is_me(self) -> bool:
        """Whether this process is the owner."""
        return self.host == socket.gethostname() and self.pid == os.getpid() and self.alive()

    def alive(self) -> bool:
        """Whether the owner still runs: asked of the system on this host, judged by the heartbeat's age on another."""
        if self.host != socket.gethostname():
            return time.time() - self.heartbeat < HEARTBEAT_SECONDS
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
