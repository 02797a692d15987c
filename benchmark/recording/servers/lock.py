"""The lock of a record on a server: commands of all machines take turns, so that no run is claimed twice.

MLflow has no lock. What it does have is a name that only one may have: that of a registered model. So whoever makes the
model NAME has the lock, and deletes the model to give it back. A lock whose holder died is broken by its age: the model
is renamed, to a name that only one process can give it.
"""

import random
import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from filelock import Timeout

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

NAME = "promptarena-lock"
HOLDER, TAKEN = "holder", "taken"
LEASE_SECONDS = 120.0
"""A lock that is older has no living holder: it is held for a few requests."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
FORGOTTEN_SECONDS = 3600.0
"""When the model of a broken lock may go: no process can still try to break that lock."""


class ServerLock:
    """A context in which no other process of any machine is; who is inside may enter it again.

    Args:
        client: Gives MLflow's client for the server.
        now: The server's time, in seconds since the epoch.
        patience: How many seconds to wait for other holders.
    """

    def __init__(self, client: "Callable[[], MlflowClient]", now: Callable[[], float], patience: float) -> None:
        self._client = client
        self._now = now
        self._patience = patience
        self._token = ""
        self._depth = 0

    def __enter__(self) -> None:
        if not self._depth:
            self._acquire()
        self._depth += 1

    def _acquire(self) -> None:
        token = uuid.uuid4().hex
        deadline, pause = time.monotonic() + self._patience, SHORTEST_PAUSE
        while not self._take(token):
            if time.monotonic() > deadline:
                raise Timeout(f"the record ({NAME} among the server's models)")
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(2 * pause, LONGEST_PAUSE)
        self._token = token

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from mlflow.exceptions import MlflowException

        self._depth -= 1
        if self._depth:
            return
        try:
            if self._tags().get(HOLDER) == self._token:
                self._client().delete_registered_model(NAME)
        except MlflowException:
            # The server went away, or the lock was broken. What was done under it is done; it is broken by its age.
            pass

    def _take(self, token: str) -> bool:
        """Try once. A request that is repeated since its answer was lost finds its own token."""
        from mlflow.exceptions import MlflowException

        try:
            self._client().create_registered_model(NAME, {HOLDER: token, TAKEN: repr(self._now())})
            return True
        except MlflowException as error:
            # There is none when it is given back while the server looks up what is in the way.
            if not (_says(error, "RESOURCE_ALREADY_EXISTS") or _says(error, "RESOURCE_DOES_NOT_EXIST")):
                raise
        tags = self._tags()
        if tags and tags.get(HOLDER) != token and self._now() - float(tags[TAKEN]) > LEASE_SECONDS:
            self._break(tags[HOLDER])
        return tags.get(HOLDER) == token

    def _tags(self) -> dict[str, str]:
        """Who holds the lock, and since when; nothing when no one does."""
        from mlflow.exceptions import MlflowException

        try:
            tags: dict[str, str] = self._client().get_registered_model(NAME).tags
        except MlflowException as error:
            if not _says(error, "RESOURCE_DOES_NOT_EXIST"):
                raise
            return {}
        return tags

    def _break(self, holder: str) -> None:
        """Take the lock from a holder that died. Its model is kept a while under another name: a process that wants to
        break the same lock later, when another one has it, then finds the new name given."""
        from mlflow.exceptions import MlflowException

        client: Any = self._client()
        for model in client.search_registered_models(f"name LIKE '{NAME}-%'"):
            if self._now() - float(model.tags[TAKEN]) > FORGOTTEN_SECONDS:
                client.delete_registered_model(model.name)
        try:
            client.rename_registered_model(NAME, f"{NAME}-{holder}")
        except MlflowException as error:
            if not (_says(error, "RESOURCE_ALREADY_EXISTS") or _says(error, "RESOURCE_DOES_NOT_EXIST")):
                raise


def _says(error: "MlflowException", code: str) -> bool:
    return bool(error.error_code == code)
