"""Muon: momentum whose matrix updates are orthogonalised by a Newton-Schulz iteration (Jordan et al., 2024)."""

from collections.abc import Iterable

import torch
from torch import Tensor

_A, _B, _C = 3.4445, -4.7750, 2.0315


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """Push all singular values of `matrices`, float (k, rows, columns), towards 1. Returns the same shape."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).bfloat16()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    out: Tensor = (x.mT if tall else x).float()
    return out


class Muon(torch.optim.Optimizer):
    """Muon for matrices; fused query/key/value matrices (three times as many rows as columns) are split into three.

    The step size of a matrix is `lr` times the square root of max(1, rows / columns); weight decay is decoupled.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter from its gradient."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                shapes.setdefault(parameter.shape, []).append(parameter)
            for shape, parameters in shapes.items():
                self._step_alike(parameters, shape, group)

    def _step_alike(self, parameters: list[Tensor], shape: torch.Size, group: dict[str, float]) -> None:
        """Update parameters of the same shape together."""
        momenta = [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in parameters]
        gradients = [p.grad for p in parameters if p.grad is not None]
        torch._foreach_mul_(momenta, group["momentum"])
        torch._foreach_add_(momenta, gradients)
        ahead = torch._foreach_add(gradients, momenta, alpha=group["momentum"])
        rows, columns = shape
        parts = 3 if rows == 3 * columns else 1
        stacked = torch.stack(list(ahead)).view(len(parameters) * parts, rows // parts, columns)
        update = orthogonalise(stacked).view(len(parameters), rows, columns)
        size = group["lr"] * max(1.0, rows / parts / columns) ** 0.5
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, list(update.unbind()), alpha=-size)
