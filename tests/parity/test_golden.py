"""Every golden case whose method is implemented: features, logits, losses, gradients, three SGD steps, transfer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from golden import Case, cases, folders, initial_values
from torch import Tensor

from promptarena.benchmark.inputs import PixelBatch
from promptarena.benchmark.method import Classes, Learner
from promptarena.methods.coop import CoOp, CoOpConfig
from promptarena.methods.maple import MaPLe, MaPLeConfig
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig

STEP0, GRADIENT, LATER_LOSS, FINAL, UPDATE = 5e-5, 2e-4, 1e-3, 2e-3, 1e-2


@dataclass(frozen=True)
class Adapter:
    """How a manifest's official configuration and parameter names map to ours."""

    learner: type[Learner]
    config: Callable[[dict[str, Any]], Any]
    rename: Callable[[str], str]


def _coop(config: dict[str, Any]) -> CoOpConfig:
    words = config.get("CTX_INIT") or ""
    return CoOpConfig(
        ctx_init=words,
        n_ctx=None if words else config["N_CTX"],
        class_token_position=config.get("CLASS_TOKEN_POSITION", "end"),
        class_specific=bool(config.get("CSC", False)) and not words,
    )


def _maple(config: dict[str, Any]) -> MaPLeConfig:
    return MaPLeConfig(
        n_ctx=config["N_CTX"], ctx_init=config.get("CTX_INIT") or "", prompt_depth=config["PROMPT_DEPTH"]
    )


def _maple_name(official: str) -> str:
    if official == "prompt_learner.ctx":
        return "p.0"
    if official.startswith("prompt_learner.proj."):
        return "f.0." + official.rsplit(".", 1)[1]
    kind, index, *rest = official.removeprefix("prompt_learner.").split(".")
    layer = int(index) + 1
    return f"p.{layer}" if kind == "compound_prompts_text" else f"f.{layer}.{rest[0]}"


ADAPTERS = {
    "CoOp": Adapter(CoOp, _coop, lambda official: {"prompt_learner.ctx": "context"}[official]),
    "MaPLe": Adapter(MaPLe, _maple, _maple_name),
}
ZERO_SHOT = ("ZeroshotCLIP", "ZeroshotCLIP2")
CASES = cases()
trained = pytest.mark.parametrize("case", [case for case in CASES if "optimizer" in case.manifest], ids=str)
untrained = pytest.mark.parametrize("case", [case for case in CASES if "optimizer" not in case.manifest], ids=str)


def close(case: Case, group: str, actual: Tensor, expected: Tensor, relative: float) -> None:
    difference = float((actual.detach() - expected).abs().max())
    limit = relative * float(expected.abs().max())
    assert difference <= limit, f"{case} {group}: differs by {difference:.3g}, limit {limit:.3g}"


def pieces(tensors: dict[str, Tensor], key: str, actual: Tensor) -> tuple[Tensor, Tensor]:
    """Expected and actual entries of a tensor, whole or, when large, as first64 and spread64 entries."""
    if key in tensors:
        return tensors[key], actual
    flat = actual.detach().flatten()
    spread = torch.linspace(0, len(flat) - 1, 64, dtype=torch.float64).round().long()
    return (
        torch.cat([tensors[f"{key}#first64"], tensors[f"{key}#spread64"]]),
        torch.cat([flat[:64], flat[spread]]),
    )


def build(case: Case) -> tuple[Learner, dict[str, Tensor], Adapter]:
    adapter = ADAPTERS.get(case.method)
    if adapter is None:
        pytest.skip(f"method {case.method} is not implemented")
    specs = case.manifest["trainable"]
    learner = adapter.learner(
        case.backbone(), adapter.config(case.config), classes(case, "class_names"), torch.Generator()
    )
    named = dict(learner.named_parameters())
    assert {adapter.rename(official) for official in specs} == set(named)
    with torch.no_grad():
        for official, value in initial_values(case.manifest["init_seed"], specs).items():
            named[adapter.rename(official)].copy_(value)
        for official, spec in specs.items():
            if spec["init"] == "zeros":
                named[adapter.rename(official)].zero_()
    return learner, {official: named[adapter.rename(official)] for official in specs}, adapter


def classes(case: Case, key: str) -> Classes:
    names = tuple(name.replace("_", " ") for name in case.manifest[key])
    return Classes(names, "a photo of a {}.")


def test_the_folders_hold_cases() -> None:
    if not CASES:
        pytest.skip(f"no golden cases in {', '.join(map(str, folders()))}")
    assert all(case.path.with_suffix(".safetensors").is_file() for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_drawn_weights_are_the_golden_ones(case: Case) -> None:
    assert case.backbone().digest == case.manifest["model"]["sha256"]


@untrained
def test_frozen_clip(case: Case) -> None:
    if case.method not in ZERO_SHOT:
        pytest.skip(f"method {case.method} is not implemented")
    backbone, expected, images = case.backbone(), case.expected(), None
    images = PixelBatch(case.pixels("eval"), backbone)
    with torch.no_grad():
        close(case, "image_features", images.features, expected["image_features"], STEP0)
        if "texts" in case.manifest:
            _check_encoders(case, images, expected)
            return
        templates = tuple(case.manifest["templates"])
        learner = ZeroShot(
            backbone, ZeroShotConfig(templates=templates), classes(case, "class_names"), torch.Generator()
        )
        for side, key in (("base", "class_names"), ("novel", "novel_class_names")):
            classifier = learner.classifier(learner.prompts(classes(case, key)))
            name = f"{side}/text_features_normalized"
            close(case, name, classifier, expected[name], STEP0)
            close(case, f"{side}/logits", learner.logits(images, classifier), expected[f"{side}/logits"], STEP0)


def _check_encoders(case: Case, images: PixelBatch, expected: dict[str, Tensor]) -> None:
    backbone = case.backbone()
    ids = backbone.tokenize(case.manifest["texts"])
    for row, tokens in zip(ids, case.manifest["tokens"], strict=True):
        assert row[: len(tokens)].tolist() == tokens
    prompts = backbone.embed(ids)
    text = backbone.encode_text(prompts)
    close(case, "text_features", text, expected["text_features"], STEP0)
    logits = backbone.scale * F.normalize(images.features, dim=-1) @ F.normalize(text, dim=-1).T
    close(case, "logits_per_image", logits, expected["logits_per_image"], STEP0)
    rows = torch.arange(len(ids))
    for key in expected:
        if key.startswith("hidden/vision_layer"):
            layer = int(key.removeprefix("hidden/vision_layer").removesuffix("_cls"))
            close(case, key, images.tokens_at(layer)[:, 0], expected[key], STEP0)
        if key.startswith("hidden/text_layer"):
            layer = int(key.removeprefix("hidden/text_layer").removesuffix("_eot"))
            tokens = backbone.text_tokens(prompts, stop=layer)
            close(case, key, tokens[rows, prompts.eot], expected[key], STEP0)


@trained
def test_step_0(case: Case) -> None:
    learner, trainable, _ = build(case)
    expected, images = case.expected(), PixelBatch(case.pixels("eval"), learner.backbone)
    for official, parameter in trainable.items():
        stored, actual = pieces(expected, f"init/{official}", parameter)
        assert torch.equal(stored.reshape(actual.shape), actual), official
    prompts = learner.prompts(classes(case, "class_names"))
    with torch.no_grad():
        close(case, "step0/image_features", learner.image_features(images), expected["step0/image_features"], STEP0)
        close(case, "step0/text_features", learner.text_features(prompts), expected["step0/text_features"], STEP0)
        logits = learner.logits(images, learner.classifier(prompts))
        close(case, "step0/logits", logits, expected["step0/logits"], STEP0)
    _, losses = learner.training_step(images, case.labels("eval"), prompts)
    total = sum(losses.values(), torch.zeros(()))
    check_losses(case, 0, total, expected, STEP0)
    total.backward()
    for official, parameter in trainable.items():
        assert parameter.grad is not None, official
        stored, actual = pieces(expected, f"step0/grad/{official}", parameter.grad)
        difference = float((actual.reshape(stored.shape) - stored).abs().max())
        assert difference <= GRADIENT * max(float(stored.abs().max()), 1e-12), official


def check_losses(case: Case, step: int, total: Tensor, expected: dict[str, Tensor], relative: float) -> None:
    names = [key for key in expected if key.startswith(f"loss/step{step}/")]
    key = f"loss/step{step}/total" if f"loss/step{step}/total" in names else names[0]
    assert abs(float(total.detach()) - float(expected[key])) <= relative * max(1.0, abs(float(expected[key])))


@trained
def test_three_steps_and_transfer(case: Case) -> None:
    learner, trainable, _ = build(case)
    expected, sgd = case.expected(), case.manifest["optimizer"]
    before = {official: parameter.detach().clone() for official, parameter in trainable.items()}
    optimizer = torch.optim.SGD(
        learner.parameters(), lr=sgd["lr"], momentum=sgd["momentum"], weight_decay=sgd["weight_decay"]
    )
    prompts = learner.prompts(classes(case, "class_names"))
    for step in range(1, sgd["steps"] + 1):
        images = PixelBatch(case.pixels(f"train{step}"), learner.backbone)
        _, losses = learner.training_step(images, case.labels(f"train{step}"), prompts)
        total = sum(losses.values(), torch.zeros(()))
        check_losses(case, step, total, expected, LATER_LOSS)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        for official, parameter in trainable.items():
            stored, actual = pieces(expected, f"step{step}/param/{official}", parameter.detach())
            start, _ = pieces(expected, f"init/{official}", before[official])
            change = stored - start
            difference = float((actual.reshape(stored.shape) - stored).abs().max())
            assert difference <= UPDATE * float(change.abs().max()), f"{official} at step {step}"
    images = PixelBatch(case.pixels("eval"), learner.backbone)
    with torch.no_grad():
        for side, key in (("base", "class_names"), ("novel", "novel_class_names")):
            if f"final/{side}/logits" not in expected:
                continue
            logits = learner.logits(images, learner.classifier(learner.prompts(classes(case, key))))
            close(case, f"final/{side}/logits", logits, expected[f"final/{side}/logits"], FINAL)
