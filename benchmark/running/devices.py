"""Which devices a machine has, without using one, and which worker gets which.

A GPU is given to a worker by CUDA_VISIBLE_DEVICES: the worker sees one GPU, which it calls cuda:0. This is the only way
for a part of a GPU (MIG), as CUDA shows a process one part at most. Nothing here opens a GPU: one in exclusive-process
mode would then be closed to the worker.
"""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil
import torch

from promptarena.benchmark.backbone.loading import choose_device
from promptarena.benchmark.core.errors import UserError

VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Device:
    """A device of this machine.

    Args:
        name: What the user calls it: "cpu", "cuda:1".
        torch: What its worker calls it.
        visible: The worker's CUDA_VISIBLE_DEVICES: a number, or the name of a GPU or of a part of one. None leaves it
            as it is.
    """

    name: str
    torch: str
    visible: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of its worker."""
        return {} if self.visible is None else {VISIBLE: self.visible}


CPU = Device("cpu", "cpu")


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them.

    Returns:
        A number or name for each GPU or part of a GPU; none where torch cannot use any.
    """
    if not torch.cuda.is_available():
        return ()
    if named := _named(os.environ):
        # CUDA itself counts one part of a GPU only, but knows which of the other names there are.
        return named if named[0].startswith("MIG-") else named[: torch.cuda.device_count()]
    return _parts(_smi("-L")) or tuple(map(str, range(torch.cuda.device_count())))


def _named(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The entries of CUDA_VISIBLE_DEVICES; like CUDA, those up to the first that names nothing."""
    entries = [entry.strip() for entry in environ.get(VISIBLE, "").split(",")]
    end = next((number for number, entry in enumerate(entries) if entry in ("", "-1")), len(entries))
    return tuple(entries[:end])


def _parts(listing: str) -> tuple[str, ...]:
    """From `nvidia-smi -L` of a machine with divided GPUs: their parts, and the names of the GPUs that are whole.

    Empty where no GPU is divided.
    """
    found: list[str] = []
    for line in listing.splitlines():
        if name := re.search(r"UUID: (MIG-[^)\s]+)", line):
            if found and found[-1].startswith("GPU-"):
                found.pop()  # this line's GPU is divided: it can be used by its parts only
            found.append(name[1])
        elif name := re.search(r"UUID: (GPU-[^)\s]+)", line):
            found.append(name[1])
    return tuple(found) if any(name.startswith("MIG-") for name in found) else ()


def _smi(*arguments: str) -> str:
    """What nvidia-smi prints; nothing where there is none."""
    try:
        return subprocess.run(["nvidia-smi", *arguments], capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def find_devices(names: Sequence[str] = (), gpus: Sequence[str] | None = None) -> tuple[Device, ...]:
    """The devices of a comparison.

    Args:
        names: As the user gives them: "auto" (every visible GPU, else the CPU), "cpu", "cuda" (the first GPU),
            "cuda:1", or another of torch's; empty is "auto".
        gpus: As `visible_gpus` gives them; None asks it.

    Returns:
        The devices in the order of their names.

    Raises:
        UserError: There is no such device, one is named twice, or CPU and GPUs are mixed.
    """
    gpus = visible_gpus() if gpus is None else gpus
    if tuple(names) in ((), ("auto",)):
        return tuple(_gpu(number, gpus) for number in range(len(gpus))) or (CPU,)
    found = tuple(_find(name, gpus) for name in names)
    if len(set(found)) < len(found):
        raise UserError(f"--devices {' '.join(names)}: a device is named twice; more workers on one GPU are --workers")
    if len({device.torch.partition(":")[0] for device in found}) > 1:
        raise UserError(f"--devices {' '.join(names)}: name devices of one kind, since figures differ between kinds")
    return found


def _find(name: str, gpus: Sequence[str]) -> Device:
    if not (match := re.fullmatch(r"cuda(?::(\d+))?", name)):
        choose_device(name)  # raises UserError
        return Device(name, name)
    number = int(match[1] or 0)
    if number >= len(gpus):
        seen = f"{len(gpus)} GPU{'s' * (len(gpus) != 1)}" if gpus else "no GPU"
        raise UserError(f"device {name!r} cannot be used: torch sees {seen} here; see {VISIBLE} and nvidia-smi")
    return _gpu(number, gpus)


def _gpu(number: int, gpus: Sequence[str]) -> Device:
    return Device(f"cuda:{number}", "cuda:0", gpus[number])


def device_of_each_worker(
    devices: Sequence[Device], workers: int | None = None, workers_per_gpu: int | None = None
) -> tuple[Device, ...]:
    """Which worker gets which device.

    Args:
        devices: The devices, of one kind.
        workers: Number of workers (>= 1); None: one per CPU core, or `workers_per_gpu` for each GPU.
        workers_per_gpu: Most workers of one GPU (>= 1); None: 1, or as many as `workers` needs.

    Returns:
        A device for each worker: the devices in turn, so that no GPU has two workers more than another.

    Raises:
        UserError: More workers than the GPUs take.
    """
    on_gpus = devices[0].visible is not None
    if not on_gpus and workers_per_gpu is not None:
        raise UserError("--workers-per-gpu: no GPU is used here; the number of workers on a CPU is --workers")
    count = workers or (len(devices) * (workers_per_gpu or 1) if on_gpus else cores())
    if workers_per_gpu is not None and count > len(devices) * workers_per_gpu:
        raise UserError(
            f"--workers {count}: {len(devices)} GPUs with --workers-per-gpu {workers_per_gpu} take "
            f"{len(devices) * workers_per_gpu} workers; change one of the two"
        )
    if on_gpus and count > len(devices) and "Exclusive_Process" in _smi("--query-gpu=compute_mode", "--format=csv"):
        raise UserError("a GPU in exclusive-process mode takes one worker; give fewer workers, or change its mode")
    return tuple(devices[number % len(devices)] for number in range(count))


def cores() -> int:
    """The number of CPU cores that this process may use."""
    return len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else psutil.cpu_count() or 1
