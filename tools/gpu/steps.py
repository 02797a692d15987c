"""Steps of training on the device, and what it encodes: seconds, rates and host synchronisations."""

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from promptarena.benchmark.backbone.accelerations import Precision
from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.compiling import COMPILER
from promptarena.benchmark.inputs.pixel_batch import PixelBatch
from promptarena.benchmark.plugins.learner import Images
from promptarena.benchmark.training.given_inputs import together
from promptarena.benchmark.training.stacked_learners import Stacked
from promptarena.benchmark.training.step_graphs import WARM_UP, CudaGraphs, Recorder, StepGraphs, Terms
from tools.gpu.stage import Row, Setting, Stage
from tools.speed.measure import flops
from tools.speed.steps import Side, difference
from tools.speed.world import METHODS, ONE_TEMPLATE, World, class_names

BATCHES = (4, 32)
CLASSES = (20, 100, 1000)
COMPILED = (("4", "100"), ("32", "100"), ("4", "1000"))
"""Batch and classes of the compiled steps: compiling takes longer than measuring."""

FARTHEST = 0.05
"""How far a replayed step's gradients may be from a plain one's in bf16, in relative L2: some kernels of the backward
pass add in any order."""

SEEDS = 3
ENCODED = 256
"""Images of a batch that is encoded."""

READ_BACK = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2")


@lru_cache(maxsize=4)
def backbone(world: World, device: torch.device, precision: Precision, compile_backend: str) -> Backbone:
    """The world's model on the device."""
    ours = world.ours
    return Backbone(ours.model, ours.name, ours.digest, device, precision, compile_backend=compile_backend)


def side(setting: Setting, method: str, batch: int, classes: int, compile_backend: str = "") -> Side:
    """A learner in training on the device, with new pixels in every step."""
    device = _device(setting)
    on = backbone(setting.world, device, "bf16", compile_backend)
    settings = dict(ONE_TEMPLATE.get(method, {}))
    names = class_names(classes)
    learner = setting.world.learner(method, names, backbone=on, **settings).to(device)
    pixels, labels = _inputs(on, batch, classes)
    return Side(learner, names, lambda: PixelBatch(pixels, on), labels)


def _inputs(on: Backbone, batch: int, classes: int) -> tuple[Tensor, Tensor]:
    pixels = torch.randn(batch, 3, on.image_size, on.image_size, device=on.device)
    return pixels, torch.arange(batch, device=on.device) % classes


def _device(setting: Setting) -> torch.device:
    assert setting.device is not None
    return setting.device


def recorder(device: torch.device) -> Recorder | None:
    """What records steps on the device; None where nothing does."""
    return CudaGraphs(device) if device.type == "cuda" else None


def replayed(records: Recorder, measured: Side) -> tuple[StepGraphs, Callable[[], Terms]]:
    """A side's steps, recorded already, and what carries one out."""
    graphs = StepGraphs(records, measured.learner, list(measured.learner.parameters()))

    def step() -> Terms:
        terms = graphs(measured.gradients, measured.images(), measured.labels)
        measured.optimizer.step()
        return terms

    for _ in range(WARM_UP + 1):
        step()
    return graphs, step


def step_times(setting: Setting, row: Row) -> Row:
    """Milliseconds and images a second of a step, replayed as a CUDA graph, and of three seeds together."""
    method, batch, classes = row[0], int(row[1]), int(row[2])
    device = _device(setting)
    eager = side(setting, method, batch, classes)
    seconds = setting.seconds(eager.step)
    graphs, together, both = "no CUDA", "not stackable", "not stackable"
    if records := recorder(device):
        found, step = replayed(records, side(setting, method, batch, classes))
        graphs = found.refused or f"{1000 * setting.seconds(step):.2f}"
    if vars(type(eager.learner)).get("stackable") and classes < CLASSES[-1]:
        together, both = _together(setting, method, batch, classes)
    return f"{1000 * seconds:.2f}", f"{batch / seconds:.0f}", graphs, together, both


def compiled_times(setting: Setting, row: Row) -> Row:
    """Milliseconds of a step with compiled blocks."""
    measured = side(setting, row[0], int(row[1]), int(row[2]), COMPILER)
    return (f"{1000 * setting.seconds(measured.step):.2f}",)


def graphs_agree(setting: Setting, row: Row) -> Row:
    """How far a replayed step is from a plain one with the same parameters and images."""
    device = _device(setting)
    measured = side(setting, row[0], 4, 20)
    if not (records := recorder(device)):
        return "no CUDA", "no CUDA"
    graphs, step = replayed(records, measured)
    for group in measured.optimizer.param_groups:
        group["lr"] = 0.0
    found = {name: value.clone() for name, value in step().items()}
    own = [parameter.grad.clone() for parameter in measured.learner.parameters() if parameter.grad is not None]
    plain = measured.gradients(measured.images(), measured.labels)
    grads = [parameter.grad for parameter in measured.learner.parameters() if parameter.grad is not None]
    off = difference([*found.values(), *own], [*plain.values(), *grads])
    said = graphs.refused or "yes"
    return said, f"{'failed: ' if off > FARTHEST else ''}{off:.0e}"


def _together(setting: Setting, method: str, batch: int, classes: int) -> tuple[str, str]:
    """Milliseconds of a step of SEEDS learners as one computation, as it stands and replayed."""
    device = _device(setting)
    on = backbone(setting.world, device, "bf16", "")
    settings = dict(ONE_TEMPLATE.get(method, {}))
    names = class_names(classes)
    learners = [
        setting.world.learner(method, names, backbone=on, seed=seed, **settings).to(device) for seed in range(SEEDS)
    ]
    stacked, prompts = Stacked(learners), learners[0].training_prompts(names)
    pixels, labels = _inputs(on, batch, classes)

    everyone = labels.expand(SEEDS, -1)

    def gradients(images: Images, own: Tensor) -> Terms:
        with on.autocast():
            _, losses = stacked.training_step(images, own, prompts)
        for parameter in stacked.parameters.values():
            parameter.grad = None
        stacked.backward(losses)
        return {name: loss.detach() for name, loss in losses.items()}

    def images() -> Images:
        return together([PixelBatch(pixels, on) for _ in learners])

    plain = f"{1000 * setting.seconds(lambda: gradients(images(), everyone)):.2f}"
    if not (records := recorder(device)):
        return plain, "no CUDA"
    graphs = StepGraphs(records, stacked.learner, list(stacked.parameters.values()))
    for _ in range(WARM_UP + 1):
        graphs(gradients, images(), everyone)
    return plain, graphs.refused or f"{1000 * setting.seconds(lambda: graphs(gradients, images(), everyone)):.2f}"


def encoding(setting: Setting, row: Row) -> Row:
    """Images a second of the frozen image tower, and its share of the device's rate of matrix products."""
    device = _device(setting)
    precision: Any = row[0]
    on = backbone(setting.world, device, precision, COMPILER if row[1] == "compiled" else "")
    count = 4 if setting.quick else ENCODED
    pixels = torch.randn(count, 3, on.image_size, on.image_size, device=device)

    def encode() -> Tensor:
        with torch.inference_mode(), on.autocast():
            return on.encode_image(pixels)

    seconds = setting.seconds(encode)
    rate = flops(encode) / seconds
    peak = product_rate(setting, torch.bfloat16 if precision == "bf16" else torch.float32)
    return f"{count / seconds:.0f}", f"{rate / 1e12:.1f}", f"{peak / 1e12:.1f}", f"{100 * rate / peak:.0f} %"


def product_rate(setting: Setting, dtype: torch.dtype) -> float:
    """Operations a second of a large product of matrices."""
    side = 256 if setting.quick else 8192
    x = torch.randn(side, side, device=setting.device).to(dtype)
    return 2 * side**3 / setting.seconds(lambda: x @ x)


class _ReadBack(TorchDispatchMode):
    """Counts operators whose result the host must know."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.overloadpacket.__name__ in READ_BACK
        return func(*args, **(kwargs or {}))


def host_syncs(setting: Setting, row: Row) -> Row:
    """How often a step waits for the device: by operators, and on CUDA by torch's own count."""
    measured = side(setting, row[0], 4, 20)
    measured.step()
    setting.synchronize()
    with _ReadBack() as counted:
        measured.step()
    if _device(setting).type != "cuda":
        return "no CUDA", str(counted.count)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            measured.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    waits = sum("synchroniz" in str(each.message) for each in warned)
    return (f"failed: {waits}" if waits else "0"), str(counted.count)


STEPS = Stage(
    "steps",
    "A training step in bf16",
    ("method", "batch", "classes"),
    ("ms", "images/s", "graphs ms", f"{SEEDS} seeds together ms", f"{SEEDS} seeds, graphs ms"),
    [(method, str(batch), str(classes)) for classes in CLASSES for method in METHODS for batch in BATCHES],
    step_times,
    "Forward, backward and optimiser on new pixels, drawn weights. Graphs: forward and backward are replayed as one "
    "CUDA graph. Seeds together: forward and backward. Expected of an H200: MaPLe and PromptSRC at most 8 ms a step of "
    "4 images and 100 classes.",
)
COMPILED_STEPS = Stage(
    "compiled",
    "A training step in bf16 with compiled blocks",
    ("method", "batch", "classes"),
    ("ms",),
    [(method, *size) for size in COMPILED for method in METHODS],
    compiled_times,
    "As above; torch compiles in the first step, which is not counted.",
)
GRAPHS = Stage(
    "graphs",
    "Steps that are replayed as CUDA graphs",
    ("method",),
    ("replayed", "distance"),
    [(method,) for method in METHODS],
    graphs_agree,
    "Logits, losses and gradients of a replayed step in bf16 against those of a plain one: relative L2 of the worst "
    f"tensor. At most {FARTHEST:g}.",
)
ENCODING = Stage(
    "encoding",
    "Encoding images",
    ("precision", "blocks"),
    ("images/s", "TFLOP/s", "peak TFLOP/s", "share"),
    [("bf16", "eager"), ("fp32", "eager"), ("bf16", "compiled")],
    encoding,
    f"The frozen image tower, {ENCODED} images at a time. Peak: of one large product of matrices of this type. "
    "Expected in bf16: 35 % eager, 50 % compiled.",
)
SYNCS = Stage(
    "host syncs",
    "What makes the host wait in a step",
    ("method",),
    ("waits", "values read back"),
    [(method,) for method in METHODS],
    host_syncs,
    "Expected: 0.",
)
