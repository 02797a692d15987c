"""What a run's figures were computed with, and how its learner was come by."""

import platform
from importlib.metadata import version

import torch

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.training.checkpoint import NOT_RECORDED, GraphUse

PACKAGES = ("promptarena", "torch", "torchvision", "open_clip_torch", "numpy", "pillow", "mlflow")


def environment(
    backbone: Backbone,
    threads: int,
    *,
    seeds_together: int = 1,
    steps: int = 0,
    graphs: GraphUse = NOT_RECORDED,
    learner_of: str = "",
) -> dict[str, str]:
    """The environment of a run.

    Args:
        backbone: The backbone.
        threads: CPU threads of the run.
        seeds_together: How many seeds were trained as one computation.
        steps: Optimiser steps that were taken for this run since it was begun or resumed: 0 where the learner of an
            earlier training was scored.
        graphs: How far these steps were replayed as CUDA graphs; said of steps on CUDA only.
        learner_of: The recorded run whose kept learner was scored; empty if there is none.

    Returns:
        Versions, machine, device, and these values, by name.
    """
    device = backbone.device
    replayed = "on" if graphs.replayed else f"off: {graphs.refused}" if graphs.refused else "off"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": f"{device.type}: {name}",
        "cpu_threads": str(threads),
        "backbone": backbone.name,
        "seeds_together": str(seeds_together),
        "training_steps": str(steps),
        **({"learner_of": learner_of} if learner_of else {}),
        **({"cuda_graphs": replayed} if steps and device.type == "cuda" else {}),
        **({"tf32": "on" if torch.backends.cudnn.allow_tf32 else "off"} if device.type == "cuda" else {}),
        **({"compiler": backbone.compile_backend} if backbone.compile_backend else {}),
    } | {package: version(package) for package in PACKAGES}
