"""Random crops that are resized on the run's device, not by Pillow; their pixels differ a little."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from promptarena.benchmark.inputs.transforms import Crop


def resized(crops: Sequence[Crop], size: int, sent: Callable[[np.ndarray], Tensor]) -> Tensor:
    """Resize crops by torch's bicubic interpolation with antialiasing, the filter that Pillow's is, too.

    Args:
        crops: B crops.
        size: H, the side of the result in pixels.
        sent: Copies an array to the device.

    Returns:
        (B, 3, H, H) float32 on the device, whole numbers from 0 to 255.
    """
    if not crops:
        return sent(np.empty((0, 3, size, size), dtype=np.float32))
    return torch.cat([_resized(crop, size, sent) for crop in crops])


def _resized(crop: Crop, size: int, sent: Callable[[np.ndarray], Tensor]) -> Tensor:
    values = sent(crop.pixels).permute(2, 0, 1).unsqueeze(0).float()
    # As Pillow does: rows first, and bytes between the two passes, which cut off what the filter overshoots.
    for shape in ((crop.pixels.shape[0], size), (size, size)):
        values = F.interpolate(values, shape, mode="bicubic", antialias=True).round().clamp(0, 255)
    return values.flip(-1) if crop.mirrored else values
