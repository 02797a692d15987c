"""What five attribute tokens and their role masks cost when images are encoded.

    python -m tools.speed.heads_overhead --architecture ViT-B-16 --images 16 --repeats 5

Weights and pixels are random: time does not depend on their values, nor on which pairs a mask forbids.
"""

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Annotated

import torch
import typer

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.loading import backbone_of_shapes, choose_device
from promptarena.benchmark.cli.commands import terminal
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.paths import DATASETS
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.benchmark.plugins.registry import load_registry

MINIATURE = "mini"
METHOD = "dear"
PLAIN = "plain CLIP"
MASKS = {"five tokens, no masks": "none", "five tokens, role masks": "all_generalization"}
"""What is compared with plain CLIP -> the method's setting; any role table's masks have the same shape."""


def random_backbone(architecture: str, device: str) -> Backbone:
    """A CLIP with small random weights: open_clip's name of it, or "mini" for the miniature's. Raises UserError."""
    miniature = DATASETS / "mini" / "model" / "open_clip_config.json"
    shapes = backbone_of_shapes(miniature if architecture == MINIATURE else architecture)
    chosen = choose_device(device)
    model = shapes.model.to_empty(device=chosen)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    return Backbone(model, shapes.name, "random", chosen, "fp32")


def encoders(backbone: Backbone) -> dict[str, Callable[[PixelBatch], object]]:
    """The compared ways to encode images, by name."""
    learner = load_registry().get(METHOD).learner
    ways: dict[str, Callable[[PixelBatch], object]] = {PLAIN: lambda images: images.features}
    for name, mask in MASKS.items():
        config = learner.config_type.model_validate({"mask": mask})
        made = learner(backbone, config, Classes(("one", "two"), "a {}."), torch.Generator().manual_seed(0))
        ways[name] = made.to(backbone.device).attribute_features  # type: ignore[assignment]
    return ways


def measure(
    ways: Mapping[str, Callable[[PixelBatch], object]], images: PixelBatch, repeats: int
) -> dict[str, list[float]]:
    """Seconds by name and repeat. The ways alternate; each is first called once without measuring.

    On a CPU it is this process's CPU time, which other processes affect less.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    device = images.pixels.device
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    with torch.inference_mode():
        for turn in range(repeats + 1):
            for name, encode in ways.items():
                started = clock()
                encode(images)
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                if turn:
                    seconds[name].append(clock() - started)
    return seconds


def main(
    architecture: Annotated[str, typer.Option(help="open_clip's name of a CLIP ViT, or mini.")] = "ViT-B-16",
    images: Annotated[int, typer.Option(min=1, help="Images encoded at once.")] = 16,
    repeats: Annotated[int, typer.Option(min=1, help="How often each way is measured.")] = 5,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
) -> None:
    """Measure how long images take with and without attribute tokens and role masks."""
    torch.set_num_threads(threads)
    try:
        backbone = random_backbone(architecture, device)
        size = backbone.image_size
        pixels = torch.randn(images, 3, size, size, device=backbone.device)
        seconds = measure(encoders(backbone), PixelBatch(pixels, backbone), repeats)
    except UserError as error:
        raise typer.BadParameter(str(error)) from error
    table = terminal.table("image encoder", "ms per image", "ratio", "from", "to")
    for name, taken in seconds.items():
        ratios = [one / plain for one, plain in zip(taken, seconds[PLAIN], strict=True)]
        each = f"{1000 * median(taken) / images:.2f}"
        terminal.add(table, name, each, *(f"{ratio:.3f}" for ratio in (median(ratios), min(ratios), max(ratios))))
    console = terminal.console()
    console.print(f"{architecture}, {images} images, {repeats} repeats, {threads} threads, {backbone.device.type}:")
    console.print(table, soft_wrap=False)


if __name__ == "__main__":
    typer.run(main)
