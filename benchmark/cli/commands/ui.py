"""MLflow's pages on the record."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.recording.record import Record, RecordPlace

LOCALHOST = "127.0.0.1"

SECONDS_TO_END = 10.0
SECONDS_BETWEEN_ASKING = 0.2


def serve_ui(place: RecordPlace, port: int) -> int:
    """Run MLflow's server on the record until it is stopped. Returns its exit code."""
    record = Record.open_existing(place)
    if record.uri.startswith(("http://", "https://")):
        raise UserError(f"the record is served already: open {record.shown} in a browser")
    with closing(socket.socket()) as probe:
        if probe.connect_ex((LOCALHOST, port)) == 0:
            raise UserError(f"port {port} is taken; choose another with --port")
    server_address = f"http://{LOCALHOST}:{port}"
    print(f"starting MLflow's server on {record.shown}", flush=True)
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", LOCALHOST, "--port", str(port)]
    # Every user of the machine can read a process's arguments, only its owner the environment.
    variables = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_BACKEND_STORE_URI": record.uri}
    server = subprocess.Popen(command, env=os.environ | variables, start_new_session=True)
    try:
        while server.poll() is None and not _answers(port):
            time.sleep(SECONDS_BETWEEN_ASKING)
        if server.poll() is None:
            for suite, address in record.views().items():
                print(f"{server_address}{address} shows the last comparison of {suite}", flush=True)
            print(f"{server_address} shows all of {record.shown}; stop with Ctrl-C", flush=True)
        return server.wait()
    finally:
        _end_group(server)


def _answers(port: int) -> bool:
    """Whether the server answers."""
    # Not urllib, which may ask a proxy for this machine's own address.
    with closing(HTTPConnection(LOCALHOST, port, timeout=SECONDS_TO_END)) as connection:
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False


def _end_group(server: subprocess.Popen[bytes]) -> None:
    """End a server and the processes it started, which would otherwise keep running."""
    # A closing terminal may send several signals; none of them may cut this short.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            server.wait(SECONDS_TO_END)
        os.killpg(server.pid, signal.SIGKILL)
