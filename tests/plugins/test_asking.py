"""What a method is asked for: whatever its code does, one line names it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny

from promptarena.benchmark.core.errors import NotReadyError, UserError
from promptarena.benchmark.plugins.asking import MethodFailedError, ablations_of, asking, preset_of, reads_of
from promptarena.benchmark.plugins.learner import Config, Learner
from promptarena.benchmark.plugins.registry import Method, load_registry

TASK = tiny.training_task()


def method(**members: Any) -> Method:
    from dataclasses import replace

    learner: type[Learner] = type("Mine", (tiny.Linear,), {"__doc__": "Mine.", **members})
    return replace(load_registry(()).get("coop"), name="mine", learner=learner)


def returns(value: Any) -> Any:
    return classmethod(lambda cls, *_: value)


def raises(error: BaseException) -> Any:
    def fail(cls: Any, *_: Any) -> Any:
        raise error

    return classmethod(fail)


@pytest.mark.parametrize("value", [None, (), (Config(),), (Config(), {}), [Config(), None], "recipe"], ids=str)
def test_a_preset_of_another_form_is_refused(value: Any) -> None:
    with pytest.raises(MethodFailedError, match="method 'mine': preset raised TypeError: it returned"):
        preset_of(method(preset=returns(value)), TASK)


@pytest.mark.parametrize("error", [ValueError("a\nb"), SystemExit(3), KeyError("x"), UserError("so")], ids=repr)
def test_whatever_is_raised_names_the_method_in_one_line(error: BaseException) -> None:
    with pytest.raises(MethodFailedError, match="method 'mine': preset") as caught:
        preset_of(method(preset=raises(error)), TASK)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [None, ["roles.json"], {"roles": "roles.json"}, {3: Path("roles.json")}], ids=str)
def test_files_of_another_form_are_refused(value: Any) -> None:
    with pytest.raises(MethodFailedError, match="method 'mine': reads"):
        reads_of(method(reads=returns(value)), Config(), "digest")


@pytest.mark.parametrize("value", [None, ("a",), {"a": 1}, {"a": {1: 2}}, {1: {}}], ids=str)
def test_ablations_of_another_form_are_refused(value: Any) -> None:
    with pytest.raises(MethodFailedError, match="method 'mine': ablations"):
        ablations_of(method(ablations=value))


def test_what_is_sound_is_passed_on() -> None:
    mine = method(reads=returns({"roles": Path("roles.json")}), ablations={"plain": {"scale": 0}})
    assert preset_of(mine, TASK) == tiny.Linear.preset(TASK)
    assert reads_of(mine, Config(), "digest") == {"roles": Path("roles.json")}
    assert ablations_of(mine) == {"plain": {"scale": 0}}


def inside(error: Exception, *, users: bool) -> Callable[[], None]:
    def run() -> None:
        with asking("mine", "configuration", users=users):
            raise error

    return run


def test_the_users_own_mistakes_and_missing_files_pass_unchanged() -> None:
    for error, users in ((UserError("n_ctx"), True), (NotReadyError("no roles"), False)):
        with pytest.raises(type(error)) as caught:
            inside(error, users=users)()
        assert caught.value is error
