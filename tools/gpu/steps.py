"""Steps of training on the device, and what it encodes: seconds, rates and host synchronisations."""

import warnings
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from promptarena.benchmark.backbone.accelerations import Precision
from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.compiling import COMPILER
from promptarena.benchmark.inputs.pixel_batch import PixelBatch
from promptarena.benchmark.training.stacked_learners import Stacked
from tools.gpu.stage import Row, Setting, Stage
from tools.speed.measure import flops
from tools.speed.steps import ONE_TEMPLATE, Side
from tools.speed.world import METHODS, World, class_names

BATCHES = (4, 32)
CLASSES = (20, 100, 1000)
COMPILED = ("4", "100")
"""Batch and classes of the compiled steps: compiling takes longer than measuring."""

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
    settings: dict[str, Any] = dict(ONE_TEMPLATE) if method == "promptsrc" else {}
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


def _step(of: Side) -> None:
    with of.learner.backbone.autocast():
        of.step()


def step_times(setting: Setting, row: Row) -> Row:
    """Milliseconds and images a second of a step, compiled, and of three seeds together."""
    method, batch, classes = row[0], int(row[1]), int(row[2])
    eager = side(setting, method, batch, classes)
    seconds = setting.seconds(lambda: _step(eager))
    compiled, together = "not compiled here", "not stackable"
    if row[1:] == COMPILED and not setting.quick:
        measured = side(setting, method, batch, classes, COMPILER)
        compiled = f"{1000 * setting.seconds(lambda: _step(measured)):.2f}"
    if vars(type(eager.learner)).get("stackable") and classes < CLASSES[-1]:
        together = f"{1000 * _together(setting, method, batch, classes):.2f}"
    return f"{1000 * seconds:.2f}", f"{batch / seconds:.0f}", compiled, together


def _together(setting: Setting, method: str, batch: int, classes: int) -> float:
    """Seconds of a step of SEEDS learners as one computation."""
    device = _device(setting)
    on = backbone(setting.world, device, "bf16", "")
    settings: dict[str, Any] = dict(ONE_TEMPLATE) if method == "promptsrc" else {}
    names = class_names(classes)
    learners = [
        setting.world.learner(method, names, backbone=on, seed=seed, **settings).to(device) for seed in range(SEEDS)
    ]
    stacked, prompts = Stacked(learners), learners[0].training_prompts(names)
    pixels, labels = _inputs(on, batch, classes)

    def step() -> None:
        images: Any = [PixelBatch(pixels, on) for _ in learners]
        with on.autocast():
            _, losses = stacked.training_step(images, labels.expand(SEEDS, -1), prompts)
        stacked.backward(losses)

    return setting.seconds(step)


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
    _step(measured)
    setting.synchronize()
    with _ReadBack() as counted:
        _step(measured)
    if _device(setting).type != "cuda":
        return "no CUDA", str(counted.count)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            _step(measured)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    waits = sum("synchroniz" in str(each.message) for each in warned)
    return (f"failed: {waits}" if waits else "0"), str(counted.count)


STEPS = Stage(
    "steps",
    "A training step in bf16",
    ("method", "batch", "classes"),
    ("ms", "images/s", "compiled ms", f"{SEEDS} seeds together ms"),
    [(method, str(batch), str(classes)) for classes in CLASSES for method in METHODS for batch in BATCHES],
    step_times,
    "Forward, backward and optimiser on new pixels, drawn weights. Seeds together: forward and backward. Expected of "
    "an H200: MaPLe and PromptSRC at most 8 ms a step of 4 images and 100 classes.",
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
