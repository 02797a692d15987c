"""One process at a time has a server's lock; that of a process that died is broken by its age, and by one process."""

import threading
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import Timeout
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST

from promptarena.benchmark.recording.servers import lock
from promptarena.benchmark.recording.servers.lock import LEASE_SECONDS, NAME, ServerLock


class Registry:
    """Registered models with unique names. `losing`: how many answers are lost after the model was made; `vanishing`:
    how often the model that is in the way goes before the server looks at it."""

    def __init__(self) -> None:
        self.models: dict[str, dict[str, str]] = {}
        self.losing = 0
        self.vanishing = 0
        self._own = threading.Lock()

    def create_registered_model(self, name: str, tags: dict[str, str]) -> None:
        with self._own:
            if self.vanishing:
                self.vanishing -= 1
                raise MlflowException("none", RESOURCE_DOES_NOT_EXIST)
            if name in self.models:
                raise MlflowException("there", RESOURCE_ALREADY_EXISTS)
            self.models[name] = tags
            if self.losing:
                self.losing -= 1
                raise MlflowException("there", RESOURCE_ALREADY_EXISTS)  # what a repeated request is answered

    def get_registered_model(self, name: str) -> Any:
        with self._own:
            return SimpleNamespace(name=name, tags=self._found(name))

    def rename_registered_model(self, name: str, new: str) -> None:
        with self._own:
            self._found(name)
            if new in self.models:
                raise MlflowException("there", RESOURCE_ALREADY_EXISTS)
            self.models[new] = self.models.pop(name)

    def delete_registered_model(self, name: str) -> None:
        with self._own:
            self._found(name)
            del self.models[name]

    def search_registered_models(self, _: str) -> list[Any]:
        return [SimpleNamespace(name=name, tags=tags) for name, tags in self.models.items() if name != NAME]

    def _found(self, name: str) -> dict[str, str]:
        if name not in self.models:
            raise MlflowException("none", RESOURCE_DOES_NOT_EXIST)
        return self.models[name]


@pytest.fixture
def registry() -> Registry:
    return Registry()


def locks(registry: Registry, now: Callable[[], float] = lambda: 0.0, patience: float = 30.0) -> ServerLock:
    return ServerLock(lambda: registry, now, patience)  # type: ignore[arg-type, return-value]


def test_who_is_inside_may_enter_again(registry: Registry) -> None:
    own = locks(registry, patience=0.0)
    for _ in range(2):
        with own:
            with own, own:
                pass
            assert NAME in registry.models, "the inner ones do not give it back"
        assert registry.models == {}


def test_a_lock_that_is_given_back_while_the_server_looks_is_tried_again(registry: Registry) -> None:
    registry.vanishing = 2
    with locks(registry):
        assert NAME in registry.models


def test_one_at_a_time(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LONGEST_PAUSE", 0.02)
    inside, most, done = 0, 0, 0

    def work() -> None:
        nonlocal inside, most, done
        own = locks(registry)
        for _ in range(10):
            with own:
                inside += 1
                most = max(most, inside)
                count = done
                threading.Event().wait(0.0005)
                done = count + 1
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, done, registry.models) == (1, 60, {})


def test_an_answer_that_was_lost_does_not_lock_its_own_process_out(registry: Registry) -> None:
    registry.losing = 1
    with locks(registry):
        assert NAME in registry.models
    assert registry.models == {}


def test_a_dead_holders_lock_is_broken_by_its_age_and_a_late_breaker_breaks_no_other(registry: Registry) -> None:
    time = 1000.0
    dead, late, next_one = (locks(registry, lambda: time, patience) for patience in (0.0, 0.0, 5.0))
    dead.__enter__()
    time += LEASE_SECONDS - 1
    with pytest.raises(Timeout), late:
        pass
    time += 2
    (holder,) = (tags["holder"] for tags in registry.models.values())
    with next_one:
        late._break(holder)
        assert registry.models[NAME]["holder"] == next_one._token
        dead.__exit__(None, None, None)
        assert NAME in registry.models, "a holder that was slow gives back nothing that another has"
    assert NAME not in registry.models
    time += 3601
    locks(registry, lambda: time)._break("another")
    assert registry.models == {}, "broken locks are forgotten"


def test_a_server_that_goes_away_meanwhile_is_no_error_of_what_was_done(registry: Registry) -> None:
    def away(*_: Any) -> None:
        raise MlflowException("Connection refused")

    with locks(registry):
        registry.get_registered_model = away  # type: ignore[method-assign]
    del registry.get_registered_model
    registry.create_registered_model = away  # type: ignore[method-assign]
    with pytest.raises(MlflowException, match="refused"), locks(registry):
        pass


def test_a_lock_of_others_is_waited_for_only_so_long(registry: Registry) -> None:
    with locks(registry), pytest.raises(Timeout, match=NAME), locks(registry, patience=0.1):
        pass
    with suppress(MlflowException):
        registry.get_registered_model(NAME)
        pytest.fail("it was given back")
