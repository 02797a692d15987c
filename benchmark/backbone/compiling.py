"""Compiled blocks: optional, for GPUs; last bits may differ from those of blocks that are run as they stand."""

from collections.abc import Callable
from threading import RLock
from typing import Any

import torch
import torch.nn.functional as F

from promptarena.benchmark.core.errors import UserError

COMPILER = "inductor"
"""torch.compile's backend."""

KINDS = 64
"""Of arguments that a function is compiled for: both towers, with gradients and without, rows in two or three
dimensions. torch gives up at 8."""


def compiled(function: Callable[..., Any], compile_backend: str) -> Callable[..., Any]:
    """The function, compiled when it is first called and again for other kinds of arguments; as it is where no compiler
    is named."""
    if not compile_backend:
        return function
    from torch._dynamo import config
    from tqdm import tqdm  # type: ignore[import-untyped]

    tqdm.set_lock(RLock())  # torch shows progress with it; its own lock, a semaphore, would outlast a worker
    config.cache_size_limit = max(config.cache_size_limit, KINDS)
    built: Callable[..., Any] = torch.compile(function, backend=compile_backend, dynamic=True)
    return built


def check_compiler(device: torch.device, compile_backend: str = COMPILER) -> None:
    """Compile and run something small. Raises UserError with torch's own reason where that does not work."""
    try:
        compiled(F.gelu, compile_backend)(torch.ones(8, device=device))
    except Exception as error:  # whatever a compiler chain may raise: each of its parts has errors of its own
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(
            f"--compile: torch cannot compile for {device} ({reason}); install a C++ compiler, or leave --compile out"
        ) from error
