"""Calls `promptarena` inside this process: quick, for what ends before any worker starts."""

import io
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from e2e_command import Ended

from promptarena.benchmark.cli.main import main

HANDLED = (signal.SIGINT, signal.SIGTERM)


def call(*arguments: str | int | Path) -> Ended:
    """The command in the current folder."""
    out, err = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in HANDLED}
    code: object = None
    try:
        with (
            patch.object(sys, "argv", ["promptarena", *map(str, arguments)]),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            main()
    except SystemExit as stop:
        code = stop.code
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return Ended(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())


def complaint(*arguments: str | int | Path) -> str:
    """The one line with which the command refuses the user's mistake."""
    ended = call(*arguments)
    assert ended.code == 2, f"exit code {ended.code}\n{ended.out}\n{ended.err}"
    (line,) = ended.err.splitlines()
    assert line.startswith("promptarena: ")
    assert "Traceback" not in ended.out
    return line.removeprefix("promptarena: ")
