"""Golden cases on the device: the first step of each method against outputs of the official code.

The cases are read by the tests' modules, so this needs a checkout.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from promptarena.benchmark.backbone.accelerations import Precision
from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.inputs.pixel_batch import PixelBatch
from tools.gpu.stage import Row, Setting, Stage

sys.path.append(str(Path(__file__).parents[2] / "tests" / "support"))

FARTHEST: dict[Precision, float] = {"fp32": 1e-3, "bf16": 0.15, "fp16": 0.02}
"""How far outputs may be from the official code's in fp32, relative to the largest."""


def golden_case(setting: Setting, row: Row) -> Row:
    """The farthest output of a case in each precision."""
    return tuple(_compared(setting, row[0], precision) for precision in FARTHEST)


def _compared(setting: Setting, name: str, precision: Precision) -> str:
    import golden
    from golden_learners import build, classes

    case = next(case for case in golden.cases() if str(case) == name)
    plain, device = case.backbone(), setting.device
    assert device is not None
    on = Backbone(_copied(plain), plain.name, plain.digest, device, precision)
    learner, _, adapter = build(case, on)
    learner.to(device)
    images: Any = PixelBatch(case.pixels("eval").to(device), on)
    expected = case.expected()
    with torch.no_grad(), on.autocast():
        found = adapter.outputs(learner, images, learner.prompts(classes(case, "class_names")))
    farthest = max(
        _distance(found[key.removeprefix("step0/")], stored)
        for key, stored in expected.items()
        if key.startswith("step0/") and not key.startswith("step0/grad/")
    )
    return f"{'failed: ' if farthest > FARTHEST[precision] else ''}{farthest:.0e}"


def _copied(backbone: Backbone) -> Any:
    import copy

    return copy.deepcopy(backbone.model)  # the case's own stays on the CPU


def _distance(found: Tensor, expected: Tensor) -> float:
    return float((found.float().cpu() - expected).abs().max() / expected.abs().max())


def golden_stage() -> Stage:
    """The stage of the cases in the folders of PROMPTARENA_GOLDEN, else of those in the checkout."""
    import golden
    from golden_newer import ADAPTERS

    named = [str(case) for case in golden.cases() if "optimizer" in case.manifest and case.method in ADAPTERS]
    limits = ", ".join(f"{limit:g} in {precision}" for precision, limit in FARTHEST.items())
    return Stage(
        "golden",
        "Golden cases on the device",
        ("case",),
        tuple(FARTHEST),
        [(name,) for name in named],
        golden_case,
        "Distance of the first step's outputs from the official code's (fp32 on a CPU), relative to the largest entry; "
        f"TF32 is off. At most {limits}.",
    )
