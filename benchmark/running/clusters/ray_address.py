"""Whether something answers at the address of a Ray cluster; asked before Ray, which tries for minutes."""

import os
import socket
from typing import Any

import psutil

from promptarena.benchmark.core.errors import UserError, first_line

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANSWER_SECONDS = 10.0


def reach(address: str) -> None:
    """See whether a cluster answers. To be called before Ray is imported.

    Args:
        address: HOST:PORT, also with `ray://`; another one, such as "auto", is left to Ray.

    Raises:
        UserError: Nothing answers.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return
    try:
        connect(f"{host}:{port}")
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise UserError(f"no Ray cluster answers at {address} ({reason}); start it with: ray start --head") from error
    if host in LOOPBACK and listens_there_only(int(port)):
        # Ray replaces a loopback address by the machine's own, where this cluster does not listen. Not with this set.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")


def connect(address: str) -> None:
    """Connect to an address, and hang up.

    Args:
        address: HOST:PORT.

    Raises:
        OSError: Nothing answers.
        OverflowError: There is no such port.
    """
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()


def listens_there_only(port: int) -> bool:
    """Whether what listens on a port of this machine can be reached through the loopback only.

    Args:
        port: The port.
    """
    try:
        found = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # not every system says
        return False
    hosts: list[Any] = [each.laddr for each in found if each.status == psutil.CONN_LISTEN]
    return all(each.ip.removeprefix("::ffff:") in LOOPBACK for each in hosts if each.port == port)
