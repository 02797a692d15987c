"""What a run needs besides the device: the machine, images decoded in time, and a comparison that survives a kill."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil
import torch

from promptarena.benchmark.inputs.device_crops import resized
from promptarena.benchmark.inputs.transforms import Augmentation, Crop
from tools.gpu.stage import Row, Setting, Stage
from tools.speed.world import TrainingImages

DECODED = 400
"""Images that are decoded to find a rate."""

SIZE = 224
BATCH = 32
METHODS = ("zeroshot", "coop", "kgcoop", "maple", "promptsrc")
DATASETS = ("things", "household")
SEEDS = (1, 2, 3)
KILLED_AFTER = 40.0
"""Seconds after which the comparison is killed, if it has not ended."""

LONGEST = 240.0
"""Seconds that one part of the comparison may take."""


def fact(setting: Setting, row: Row) -> Row:
    """One fact of the machine."""
    device = setting.device
    cuda = device is not None and device.type == "cuda"
    properties = torch.cuda.get_device_properties(device) if cuda else None
    facts = {
        "device": properties.name if properties else str(device),
        "device memory": f"{properties.total_memory / 2**30:.0f} GiB" if properties else "none",
        "capability": f"{properties.major}.{properties.minor}" if properties else "none",
        "CUDA of torch": str(torch.version.cuda),
        "torch": torch.__version__,
        "Python": platform.python_version(),
        "open_clip": version("open_clip_torch"),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
    }
    return (facts[row[0]],)


FACTS = ("device", "device memory", "capability", "CUDA of torch", "torch", "Python", "open_clip", "cores", "memory")


def decoding(setting: Setting, row: Row) -> Row:
    """Images a second that threads decode and crop at random, and Pillow or the device resizes."""
    threads, device = int(row[0]), setting.device
    count = 16 if setting.quick else DECODED
    images = TrainingImages([f"decoded/{number}" for number in range(16)])
    drawn = Augmentation(1, 1, (0.08, 1.0))
    images.image(0)

    def view(number: int) -> None:
        drawn.view(images.image(number % 16), str(number), SIZE)

    def crop(number: int) -> Crop:
        return drawn.crop(images.image(number % 16), str(number))

    def sent(pixels: np.ndarray) -> torch.Tensor:
        on_host = torch.from_numpy(pixels)
        return (on_host.pin_memory() if device and device.type == "cuda" else on_host).to(device, non_blocking=True)

    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        if row[1] == "Pillow":
            list(pool.map(view, range(count)))
        else:
            for start in range(0, count, BATCH):
                resized(list(pool.map(crop, range(start, min(start + BATCH, count)))), SIZE, sent)
            setting.synchronize()
    rate = count / (time.perf_counter() - started)
    return f"{rate:.0f}", f"{rate / min(threads, os.cpu_count() or 1):.0f}"


def comparison(setting: Setting, row: Row) -> Row:
    """Seconds and runs of a part of the comparison: until it is killed, or until its end."""
    killed = row[0].startswith("killed")
    started = time.monotonic()
    ended = _run(compare_command(setting), setting.folder, KILLED_AFTER if killed else LONGEST)
    seconds = f"{time.monotonic() - started:.0f}"
    if ended is None and not killed:
        return seconds, "failed: it did not end"
    if ended:
        return seconds, f"failed: exit code {ended}"
    plan = subprocess.run(
        [*(word for word in compare_command(setting) if word != "--quiet"), "--plan", "--format", "json"],
        cwd=setting.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    runs = json.loads(plan.stdout)["runs"]
    done = sum(run["status"] == "done" for run in runs)
    return seconds, f"{'' if killed or done == len(runs) else 'failed: '}{done} of {len(runs)} runs"


def compare_command(setting: Setting) -> list[str]:
    """The command of the comparison."""
    command: list[object] = [sys.executable, "-m", "promptarena.benchmark.cli.main", "compare", "mini", "--quiet"]
    chosen: dict[str, Sequence[object]] = {
        "--methods": METHODS[:1] if setting.quick else METHODS,
        "--datasets": DATASETS,
        "--seeds": SEEDS,
        "--protocols": ("base-to-novel",),
        "--limit": (20,),
        "--device": (setting.device,),
        "--results": (setting.folder / "results",),
    }
    for name, values in chosen.items():
        command += [name, *values]
    return [str(word) for word in command]


def _run(command: Sequence[str], folder: Path, longest: float) -> int | None:
    """The exit code; None for a process that was killed after `longest` seconds, with all that it started."""
    environment = os.environ | {"PROMPTARENA_CACHE": str(folder / "cache")}
    with subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True) as process:
        try:
            return process.wait(longest)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return None
        except BaseException:  # the time for all stages is over
            os.killpg(process.pid, signal.SIGKILL)
            raise


ENVIRONMENT = Stage("environment", "The machine", ("fact",), ("value",), [(name,) for name in FACTS], fact, "")
DECODING = Stage(
    "decoding",
    "Decoding and cropping images",
    ("threads", "resized by"),
    ("images/s", "images/s and thread"),
    [(str(count), by) for by in ("Pillow", "the device") for count in (1, 4, 8, 16)],
    decoding,
    f"JPEG files of 500 x 375 in memory, random crops of {SIZE} x {SIZE}. By the device: `--augment-on-device`.",
)
COMPARISON = Stage(
    "comparison",
    "A comparison that is killed and resumed",
    ("part",),
    ("s", "done"),
    [(f"killed after {KILLED_AFTER:.0f} s",), ("resumed",)],
    comparison,
    f"`promptarena compare mini`: {', '.join(METHODS)}; {', '.join(DATASETS)}; seeds {', '.join(map(str, SEEDS))}; "
    "base-to-novel. All runs must be done in the end.",
)
