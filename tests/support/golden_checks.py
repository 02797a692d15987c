"""How golden cases are compared: their tolerances, and tensors that are stored whole or in pieces."""

import torch
from golden import Case
from torch import Tensor

STEP0, GRADIENT, LATER_LOSS, FINAL, UPDATE = 5e-5, 2e-4, 1e-3, 2e-3, 1e-2
ROUNDING = 1e-8  # of the largest gradient: what may stand where the official code has an exact 0


def close(case: Case, group: str, actual: Tensor, expected: Tensor, relative: float) -> None:
    difference = float((actual.detach() - expected).abs().max())
    limit = relative * float(expected.abs().max())
    assert difference <= limit, f"{case} {group}: differs by {difference:.3g}, limit {limit:.3g}"


def pieces(tensors: dict[str, Tensor], key: str, actual: Tensor) -> tuple[Tensor, Tensor]:
    """Expected and actual entries of a tensor, whole or, when large, as first64 and spread64 entries."""
    if key in tensors:
        return tensors[key], actual
    flat = actual.detach().flatten()
    spread = torch.linspace(0, len(flat) - 1, 64, dtype=torch.float64).round().long()
    return (
        torch.cat([tensors[f"{key}#first64"], tensors[f"{key}#spread64"]]),
        torch.cat([flat[:64], flat[spread]]),
    )


def check_updates(
    expected: dict[str, Tensor], group: str, trainable: dict[str, Tensor], before: dict[str, Tensor]
) -> None:
    """The change from the initial value, tensor by tensor; nothing when the case does not hold the group."""
    if not any(key.startswith(f"{group}/") for key in expected):
        return
    for official, parameter in trainable.items():
        stored, actual = pieces(expected, f"{group}/{official}", parameter.detach())
        start, _ = pieces(expected, f"init/{official}", before[official])
        difference = float((actual.reshape(stored.shape) - stored).abs().max())
        assert difference <= UPDATE * float((stored - start).abs().max()), f"{official} in {group}"
