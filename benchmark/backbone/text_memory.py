"""How much memory class prompts may hold for their gradients."""

import torch

TEXT_MEMORY_MIB = 4096
"""MiB that class prompts may hold for their gradients on the CPU; more are encoded in parts, by a second pass."""

TEXT_SHARE = 0.25
"""The same on a GPU, as a share of its memory."""

HELD_BYTES = 64
"""About how many bytes a block holds for the gradient, per row and unit of its width, in float32. Changing it
changes how prompts are divided into parts, and with it last bits."""


def text_memory(device: torch.device) -> int:
    """How many bytes class prompts may hold for their gradients on a device before they are encoded in parts."""
    if device.type != "cuda":
        return TEXT_MEMORY_MIB << 20
    return int(TEXT_SHARE * torch.cuda.get_device_properties(device).total_memory)
