"""How many operators a training step dispatches, and how many of them would launch a kernel on a GPU.

    python -m tools.speed.operators [--out results/speed]

The counts do not depend on the model's width or the machine, so they are taken on a narrow model of twelve blocks.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from promptarena.benchmark.backbone.accelerations import Precision
from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.inputs.array_cache import ArrayCache
from promptarena.benchmark.training.loop import train
from promptarena.benchmark.training.shots import Task
from promptarena.benchmark.training.step_graphs import WARM_UP, Recorder, Terms
from tools.speed.report import Report
from tools.speed.world import METHODS, ONE_TEMPLATE, World, class_names, examples, recipe_of

BATCH, CLASSES = 4, 20
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
KINDS = ("operators", "kernels", "launches with graphs")
NO_KERNEL = frozenset(
    [
        *("view", "_unsafe_view", "t", "transpose", "permute", "expand", "unsqueeze", "squeeze", "select", "slice"),
        *("split", "split_with_sizes", "unbind", "alias", "detach", "as_strided", "reshape", "unflatten", "diagonal"),
        *("lift_fresh", "_reshape_alias", "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"),
        *("resize_", "set_", "record_stream", "_record_function_enter_new", "_record_function_exit"),
        "_local_scalar_dense",
    ]
)
"""Operators that return another view of their argument, or memory without values; and the optimiser's reading of its
counts of steps, which lie on the host."""

ARCHITECTURE = {
    "embed_dim": 64,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 12, "width": 64, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 4, "layers": 12},
}


class Count(NamedTuple):
    """Operators of a step, and those of them that would launch a kernel."""

    operators: int
    kernels: int


class _Counted(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def count(world: World, method: str, precision: Precision) -> Count:
    """The operators of one training step, with all that the training loop does for it.

    Args:
        world: The model.
        method: The method, in its published recipe but for the batch.
        precision: The precision of the training.

    Returns:
        The difference between trainings of three steps and of two.
    """
    two, three = (_training(world, method, precision, steps) for steps in (2, 3))
    each = three - two
    return Count(each.total(), _kernels(each))


def launches(world: World, method: str, precision: Precision) -> int:
    """The launches of one training step that is replayed as a CUDA graph.

    Args:
        world: The model.
        method: The method, as for `count`.
        precision: The precision of the training.

    Returns:
        One for the graph, and the kernels that stay outside of it: copies of the inputs, the optimiser, sums of curves.
    """
    replayed = WARM_UP + 2
    fewer, more = (_training(world, method, precision, steps, _Unplayed()) for steps in (replayed, replayed + 1))
    return 1 + _kernels(more - fewer)


class _Unplayed:
    """Records steps, and computes nothing when one is replayed."""

    def warm_up(self, step: Callable[[], Terms]) -> Terms:
        return step()

    def capture(self, step: Callable[[], Terms]) -> tuple[Terms, Callable[[], None]]:
        return step(), lambda: None


def _kernels(counted: Counter[str]) -> int:
    return sum(number for name, number in counted.items() if name not in NO_KERNEL)


def _training(
    world: World, method: str, precision: Precision, steps: int, recorder: Recorder | None = None
) -> Counter[str]:
    ours, names = world.ours, class_names(CLASSES)
    backbone = Backbone(ours.model, ours.name, ours.digest, ours.device, precision)
    settings = dict(ONE_TEMPLATE.get(method, {}))
    recipe = recipe_of(method).model_copy(update={"batch_size": BATCH, "epochs": 1, "warmup_epochs": 0})
    shown = examples("operators", BATCH * steps, CLASSES)
    with tempfile.TemporaryDirectory() as folder, _Counted() as counted:
        train(
            world.learner(method, names, backbone=backbone, **settings),
            recipe,
            Task(names, shown, shown, seed=1),
            cache=ArrayCache(Path(folder) / "cache"),
            checkpoint=Path(folder) / "checkpoint.safetensors",
            train_key="key",
            on_epoch=lambda _: None,
            recorder=recorder,
        )
    return counted.names


def operators(methods: Sequence[str], report: Report) -> None:
    """Count the operators of each method's step."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "narrow.json"
        path.write_text(json.dumps(ARCHITECTURE), encoding="utf-8")
        world = World(path)
        rows = []
        for method in methods:
            cells = [(*count(world, method, each), launches(world, method, each)) for each in PRECISIONS]
            rows.append([method, *(str(number) for each in cells for number in each)])
    report.show(
        "operators",
        f"Operators of a training step of {BATCH} images and {CLASSES} classes",
        ["method", *(f"{what}, {precision}" for precision in PRECISIONS for what in KINDS)],
        rows,
        "Dispatched operators, forward, backward, optimiser and the training loop; kernels: those that compute or copy "
        "values; launches with graphs: one, and the kernels that stay outside of the CUDA graph. On a GPU prompts are "
        "packed otherwise, which changes the counts by a few. Before the vectors of "
        "QuickGELU and the rounded copies of frozen weights were kept, and the optimisers took lists of parameters, "
        "the kernels were, in fp32 and bf16: CoOp 611, 844; MaPLe 1209, 1601; PromptSRC 1176, 1536; RAda 243, "
        "243; MMRL 1110, 1452; DeAR 606, 759.",
    )


def main() -> None:
    """Count and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, metavar="METHOD")
    parser.add_argument("--out", type=Path, help="folder for the table in Markdown and CSV")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    operators(chosen.methods, Report(chosen.out, f"torch {torch.__version__}."))


if __name__ == "__main__":
    main()
