"""What a method returns is scored only if it can be: anything else ends the run with its reason."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from mlflow.utils.validation import _validate_metric_name
from torch import Tensor

from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.plugins.asking import MethodFailedError
from promptarena.benchmark.training.evaluation import BATCH, Evaluated, evaluate_together
from promptarena.benchmark.training.outputs import (
    NotFiniteError,
    WrongOutputError,
    check_logits,
    check_losses,
    check_name,
    check_parameters,
)

GOOD = torch.linspace(-1, 1, 12).reshape(4, 3)
NAMES = ("cross_entropy", "class feature", "kd/text", "v1.2-b", "a:b", "x" * 100)
REFUSED = ("a\n", "a,b", "(x)", "/a", "a/", "a//b", "../a", "a/../b", ".", "ä", "\udc80", "x" * 101, "a ", "", 3, None)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_accepted_is_one_that_mlflow_accepts(name: str) -> None:
    check_name("loss", name)
    _validate_metric_name(f"curves/{name}")
    _validate_metric_name(f"correct/dataset/novel/{name}")


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
def test_a_name_that_cannot_be_recorded_is_refused_in_a_printable_line(name: Any) -> None:
    with pytest.raises(MethodFailedError) as caught:
        check_name("loss", name)
    assert str(caught.value).isprintable()
    str(caught.value).encode()


@pytest.mark.parametrize(
    "logits",
    [
        *(GOOD[:, :2], GOOD[:3], GOOD[None], GOOD[0], GOOD.sum(), GOOD.long(), GOOD.to(torch.complex64), GOOD > 0),
        *(GOOD.to_sparse(), GOOD.to("meta"), None, GOOD.numpy(), [1.0]),
    ],
    ids=lambda logits: type(logits).__name__,
)
def test_logits_of_another_form_are_refused(logits: Any) -> None:
    check_logits(GOOD.half(), (4, 3))
    with pytest.raises(WrongOutputError, match="not floating-point numbers of shape"):
        check_logits(logits, (4, 3))


@pytest.mark.parametrize(
    "losses",
    [{}, None, torch.tensor(1.0), {"a": 1.0}, {"a": GOOD}, {"a": torch.tensor(1)}, {"a": torch.zeros(1)}],
    ids=str,
)
def test_losses_of_another_form_are_refused(losses: Any) -> None:
    check_losses({"a": torch.tensor(1.0), "b": torch.tensor(2.0)})
    with pytest.raises(WrongOutputError, match="loss"):
        check_losses(losses)


@pytest.mark.parametrize("name", ["epoch", "lr", "loss", "train_accuracy"])
def test_a_loss_does_not_take_the_name_of_the_harness(name: str) -> None:
    with pytest.raises(MethodFailedError, match="the record uses itself"):
        check_losses({name: torch.tensor(1.0), "b": torch.tensor(2.0)})
    if name != "loss":
        with pytest.raises(MethodFailedError, match="the record uses itself"):
            check_losses({name: torch.tensor(1.0)})


def test_a_parameter_that_is_not_finite_is_named() -> None:
    learner = tiny.linear()
    check_parameters(learner)
    name, parameter = next(iter(learner.named_parameters()))
    parameter.data.view(-1)[-1] = float("-inf")
    with pytest.raises(NotFiniteError, match=name):
        check_parameters(learner)


class Odd(tiny.Linear):
    """Its readings are what `change` makes of sound ones."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.change: Any = dict
        self.batch = 0

    def readings(self, images: Any, classifier: Any) -> Any:
        self.batch += 1
        return self.change(super().readings(images, classifier))


def turned(value: float) -> Any:
    def change(readings: dict[str, Tensor]) -> dict[str, Tensor]:
        logits = readings[""].clone()
        logits[-1, -1] = value
        return {"": logits}

    return change


CHANGES: dict[str, tuple[Any, str]] = {
    "NaN": (turned(float("nan")), "logits are not finite"),
    "infinite": (turned(float("inf")), "logits are not finite"),
    "wider": (lambda found: {"": torch.cat([found[""], found[""]], 1)}, "not floating-point numbers of shape"),
    "transposed": (lambda found: {"": found[""].T}, "not floating-point numbers of shape"),
    "whole numbers": (lambda found: {"": found[""].long()}, "not floating-point numbers of shape"),
    "empty": (lambda found: {}, "no logits of the method itself"),
    "only another": (lambda found: {"other": found[""]}, "no logits of the method itself"),
    "a name": (lambda found: {**found, "a,b": found[""]}, "cannot be recorded"),
    "another one NaN": (lambda found: {**found, "b": found[""] * float("nan")}, "logits are not finite"),
    "nothing": (lambda found: None, "no logits of the method itself"),
}


@pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES)
def test_readings_that_cannot_be_scored_fail_alone(change: Any, reason: str, tmp_path: Path) -> None:
    learners = [_odd(), _odd()]
    learners[0].change = change
    failed, scored = _evaluated(learners, 6, tmp_path)
    assert isinstance(failed, Exception)
    assert reason in str(failed)
    assert isinstance(scored, Evaluated)
    assert scored.scores == _evaluated([_odd()], 6, tmp_path)[0].scores  # type: ignore[union-attr]


def test_readings_that_change_between_batches_fail(tmp_path: Path) -> None:
    learner = _odd()
    learner.change = lambda found: {**found, **({"late": found[""]} if learner.batch > 1 else {})}
    (failed,) = _evaluated([learner], BATCH + 2, tmp_path)
    assert isinstance(failed, WrongOutputError)
    assert "late" in str(failed)


def _odd() -> Odd:
    sound = tiny.linear()
    odd = Odd(sound.backbone, sound.config, tiny.task().classes, torch.Generator().manual_seed(0))
    odd.load_state_dict(sound.state_dict())
    return odd


def _evaluated(learners: list[Odd], count: int, folder: Path) -> list[Evaluated | Exception]:
    classes = tiny.task().classes
    test = tiny.examples(count, len(classes), "test")
    return evaluate_together(learners, Target("tiny", "all"), classes, test, len(classes), tiny.cache(folder))
