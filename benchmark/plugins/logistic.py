"""Multinomial logistic regression on the device of its features, for problems that are large for a processor's core."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

TOLERANCE = 1e-4
"""Largest entry of the gradient at which the search ends, as in scikit-learn."""


def logistic_regression(
    features: Tensor, labels: Tensor, classes: int, strength: float, max_iter: int, start: Tensor | None = None
) -> Tensor:
    """Minimise mean cross-entropy + |W|^2 / (2 N strength) by L-BFGS, as scikit-learn's LogisticRegression does.

    Args:
        features: (N, D) float32.
        labels: (N,) int64 in 0 .. C - 1, on the same device.
        classes: C, at least 2.
        strength: The inverse L2 strength; the biases are not penalised.
        max_iter: Iterations at most.
        start: What an earlier call returned, to start near the solution of a similar strength; None starts at 0.

    Returns:
        (R, D + 1) float32 on the CPU: weights and, in the last column, biases. R is C; of two classes there is one row,
        the logit of the second relative to the first.
    """
    from scipy.optimize import minimize

    count, width = features.shape
    shape = (1 if classes == 2 else classes, width + 1)
    penalty = 1 / (strength * count)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        rows = torch.from_numpy(flat.astype(np.float32)).view(shape).to(features.device).requires_grad_()
        weight, bias = rows[:, :-1], rows[:, -1]
        logits = features @ weight.T + bias
        if classes == 2:
            logits = torch.cat([-logits, logits], dim=1) / 2
        value = F.cross_entropy(logits, labels) + penalty / 2 * weight.square().sum()
        (gradient,) = torch.autograd.grad(value, rows)
        return float(value.detach()), gradient.flatten().cpu().numpy().astype(np.float64)

    first = np.zeros(shape[0] * shape[1]) if start is None else start.double().flatten().numpy()
    options = {"maxiter": max_iter, "maxls": 50, "gtol": TOLERANCE, "ftol": 64 * np.finfo(float).eps}
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(features.device.type, enabled=False):
        found = minimize(objective, first, method="L-BFGS-B", jac=True, options=options)
    return torch.from_numpy(found.x.astype(np.float32)).view(shape)
