"""Interleaved timing: each round calls every side once, so that a busy machine slows all of them equally."""

import ctypes
import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import psutil
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from promptarena.benchmark.running.peak_memory import PeakMemory

SHORT = 0.25
"""Minimum seconds of a round of a short call."""


class Ratio(NamedTuple):
    """Median and quartiles of the ratios of paired rounds."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        digits = 1 if self.median >= 10 else 2
        return f"{self.median:.{digits}f}x ({self.low:.{digits}f}-{self.high:.{digits}f})"


@dataclass
class Timed:
    """Rounds of one side: wall-clock and CPU seconds, and the process's peak memory in MiB."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Median of the wall-clock."""
        return statistics.median(self.wall)

    @property
    def cpu_seconds(self) -> float:
        """Median of the CPU time."""
        return statistics.median(self.cpu)

    @property
    def mib(self) -> float:
        """The highest peak."""
        return max(self.peak)


def once(work: Callable[[], object], into: Timed, at_least: float = 0.0) -> None:
    """Call and add a round. A call of fewer than `at_least` seconds is repeated until that time has passed, and the
    round is the median of the repetitions after the first, which includes memory allocation by the system."""
    gc.collect()
    _give_back()
    memory = PeakMemory(torch.device("cpu"))
    calls = [_call(work)]
    while sum(wall for wall, _ in calls) < at_least:
        calls.append(_call(work))
    wall, cpu = zip(*(calls[1:] or calls), strict=True)
    into.wall.append(statistics.median(wall))
    into.cpu.append(statistics.median(cpu))
    into.peak.append(memory.mib())


def _call(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _give_back() -> None:
    """Return freed memory to the system, if the C library can, so that a peak belongs to the next call only."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def interleaved(sides: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Timed]:
    """A B A B ...: `rounds` calls of each side."""
    timed = {name: Timed() for name in sides}
    with _frozen_heap():
        for _ in range(rounds):
            for name, work in sides.items():
                once(work, timed[name], SHORT)
    return timed


@contextmanager
def _frozen_heap() -> Iterator[None]:
    """Exclude existing objects from garbage collection, which takes longer than a small step."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def ratio(slow: list[float], fast: list[float]) -> Ratio:
    """How much longer the first took, round by round."""
    pairs = [one / other for one, other in zip(slow, fast, strict=True)]
    if len(pairs) == 1:
        return Ratio(pairs[0], pairs[0], pairs[0])
    low, median, high = statistics.quantiles(pairs, n=4, method="inclusive")
    return Ratio(median, low, high)


def matmul_rate(seconds: float = 0.5) -> float:
    """FLOPs per CPU second of float32 matrix products of the sizes in a ViT-B/16: the best rate found in `seconds` of
    wall-clock time."""
    x, w = torch.randn(788, 768), torch.randn(768, 3072)
    best, started = 0.0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        begun = time.process_time()
        for _ in range(4):
            x @ w
        best = max(best, 4 * 2 * x.numel() * w.shape[1] / (time.process_time() - begun))
    return best


def flops(work: Callable[[], object]) -> float:
    """Operations of matrix products, attention's too, forward and backward."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def machine() -> str:
    """The machine and the versions, in a line."""
    cpu = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), cpu)
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB; {platform.system()}, Python {platform.python_version()}, "
        f"torch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()}), open_clip {version('open_clip_torch')}"
    )
