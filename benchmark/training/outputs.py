"""What a method may return: logits and losses that can be scored and recorded, under names that the record accepts."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from promptarena.benchmark.core.labels import RECORDABLE
from promptarena.benchmark.plugins.asking import MethodFailedError

RETURNS = 'training_step must return (logits, losses): logits (B, C), and losses by name, {"cross_entropy": loss}'

LONGEST_NAME = 100
"""Characters of a name; MLflow's limit is for a metric's whole name."""

RESERVED = ("epoch", "loss", "lr", "train_accuracy")
"""Names of curves that the harness records itself."""


class NotFiniteError(ArithmeticError):
    """A loss, a logit or a parameter is NaN or infinite."""


class WrongOutputError(ValueError):
    """A method returned something other than logits or losses of the expected form."""


def check_name(kind: str, name: object) -> None:
    """Require that a name can be recorded.

    Args:
        kind: What it names, such as "loss".
        name: The name.

    Raises:
        MethodFailedError: It cannot.
    """
    if not (isinstance(name, str) and len(name) <= LONGEST_NAME and RECORDABLE.fullmatch(name)):
        raise MethodFailedError(
            f"the {kind} name {ascii(name)[:LONGEST_NAME]} cannot be recorded; use letters, digits, _, -, . and spaces"
        )


def unpacked(returned: Any) -> tuple[Any, Any]:
    """What a training step returned, as logits and losses; neither is checked.

    Args:
        returned: What `training_step` returned.

    Returns:
        Logits and losses.

    Raises:
        WrongOutputError: It is not a pair.
    """
    if not isinstance(returned, tuple | list):
        raise WrongOutputError(f"training_step returned {described(returned)}; {RETURNS}")
    if len(returned) != 2:
        raise WrongOutputError(f"training_step returned {len(returned)} values; {RETURNS}")
    return returned[0], returned[1]


def check_losses(losses: Any, shape: tuple[int, ...] = ()) -> None:
    """Require loss terms that can be summed and recorded; their values are not read.

    Args:
        losses: What `training_step` returned.
        shape: The expected shape of a term: () or, for S seeds, (S,).

    Raises:
        WrongOutputError: They are not scalars by name.
        MethodFailedError: A name cannot be recorded.
    """
    if not isinstance(losses, Mapping) or not losses:
        raise WrongOutputError(f"training_step returned no losses by name but {described(losses)}; {RETURNS}")
    for name, value in losses.items():
        check_name("loss", name)
        if name in RESERVED and [*losses] != ["loss"]:  # a single term may be called what the sum is called
            raise MethodFailedError(f"the loss name {name!r} is one that the record uses itself; choose another")
        if not (isinstance(value, Tensor) and value.shape == shape and value.is_floating_point()):
            raise WrongOutputError(f"loss {name!r} is {described(value)}, not one number")


def check_logits(logits: Any, shape: tuple[int, ...]) -> None:
    """Require logits of the expected form; their values are not read.

    Args:
        logits: What the method returned.
        shape: (B, C), or (S, B, C) for S seeds.

    Raises:
        WrongOutputError: They have another form.
    """
    dense = (
        isinstance(logits, Tensor) and logits.layout is torch.strided and not (logits.is_meta or logits.is_quantized)
    )
    if not (dense and logits.shape == shape and logits.is_floating_point()):
        raise WrongOutputError(f"logits are {described(logits)}, not floating-point numbers of shape {shape}")


def check_finite(what: str, tensor: Tensor) -> None:
    """Require that no value is NaN or infinite; waits for a GPU.

    Raises:
        NotFiniteError: A value is.
    """
    if not bool(tensor.isfinite().all()):
        raise NotFiniteError(f"{what} are not finite")


def check_parameters(learner: nn.Module) -> None:
    """Require that no parameter of a trained learner is NaN or infinite.

    Raises:
        NotFiniteError: One is.
    """
    for name, parameter in learner.named_parameters():
        check_finite(f"values of parameter {name}", parameter.detach())


def described(value: Any) -> str:
    """A value in a few words: the type and shape of a tensor, else the type of the value."""
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    form = "" if value.layout is torch.strided else f"{str(value.layout).removeprefix('torch.')} "
    return f"{form}{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)} on {value.device}"
