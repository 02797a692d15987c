"""Golden cases without a cache: features, logits, loss terms, gradients, three SGD steps, transfer, aggregation."""

from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from golden import Case, cases, folders
from golden_checks import FINAL, GRADIENT, LATER_LOSS, ROUNDING, STEP0, UPDATE, check_updates, close, pieces
from golden_learners import build, classes
from golden_methods import Adapter
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.benchmark.plugins.learner import CannotTransferError, Learner
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig

ZERO_SHOT = ("ZeroshotCLIP", "ZeroshotCLIP2")
CACHED = ("TipAdapter", "TipAdapterF")  # in test_golden_cache.py
CASES = cases()
UNCACHED = [case for case in CASES if case.method not in CACHED]
pytestmark = pytest.mark.needs("golden vectors")
trained = pytest.mark.parametrize("case", [case for case in UNCACHED if "optimizer" in case.manifest], ids=str)
untrained = pytest.mark.parametrize("case", [case for case in UNCACHED if "optimizer" not in case.manifest], ids=str)


def test_the_folders_hold_cases() -> None:
    if not CASES:
        pytest.skip(f"no golden cases in {', '.join(map(str, folders()))}")
    assert all(case.path.with_suffix(".safetensors").is_file() for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_drawn_weights_are_the_golden_ones(case: Case) -> None:
    assert case.backbone().digest == case.manifest["model"]["sha256"]


@untrained
def test_frozen_clip(case: Case) -> None:
    assert case.method in ZERO_SHOT
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


def shown(case: Case, batch: str, learner: Learner) -> PixelBatch:
    """A batch as a training step gets it: with the second view and the official draw, where the case has them."""
    if "description_index" in case.config:
        learner.draw = lambda count: case.config["description_index"][batch]  # type: ignore[assignment]
    second = f"{batch}_view2"
    views = [PixelBatch(case.pixels(name), learner.backbone) for name in (second,) if name in case.manifest["batches"]]
    return PixelBatch(case.pixels(batch), learner.backbone, *views)


@trained
def test_step_0(case: Case) -> None:
    learner, trainable, adapter = build(case)
    expected, images = case.expected(), PixelBatch(case.pixels("eval"), learner.backbone)
    for official, parameter in trainable.items():
        stored, actual = pieces(expected, f"init/{official}", parameter)
        assert torch.equal(stored.reshape(actual.shape), actual), official
    with torch.no_grad():
        prompts = learner.prompts(classes(case, "class_names"))
        outputs = adapter.outputs(learner, images, prompts)
        for key in [key for key in expected if key.startswith("step0/") and not key.startswith("step0/grad/")]:
            close(case, key, outputs[key.removeprefix("step0/")], expected[key], STEP0)
        decided = learner.logits(images, learner.classifier(prompts))
        assert torch.equal(decided, outputs[adapter.base_logits])
    training_prompts = learner.training_prompts(classes(case, "class_names"))
    for key, value in adapter.before(learner, images, training_prompts).items():
        close(case, key, value, expected[key], STEP0)
    images = shown(case, "eval", learner)
    _, losses = learner.training_step(images, case.labels("eval"), training_prompts)
    check_losses(case, 0, losses, expected, adapter, STEP0)
    learner.backward(losses)
    gradients = {name: pieces(expected, f"step0/grad/{name}", tensor.grad) for name, tensor in trainable.items()}
    largest = max(float(stored.abs().max()) for stored, _ in gradients.values())
    for official, (stored, actual) in gradients.items():
        difference = float((actual.reshape(stored.shape) - stored).abs().max())
        assert difference <= GRADIENT * float(stored.abs().max()) + ROUNDING * largest, official


@pytest.mark.parametrize("case", [case for case in CASES if case.method == "ProGrad"], ids=str)
def test_the_two_gradients_of_prograd(case: Case) -> None:
    learner, trainable, _ = build(case)
    expected, images = case.expected(), PixelBatch(case.pixels("eval"), learner.backbone)
    prompts = learner.training_prompts(classes(case, "class_names"))
    _, losses = learner.training_step(images, case.labels("eval"), prompts)
    (name, context), found = *trainable.items(), []
    for official, ours in (("xe", "cross_entropy"), ("kl", "distillation")):
        (gradient,) = torch.autograd.grad(losses[ours], [context], retain_graph=True)
        close(case, official, gradient, expected[f"unbent/grad_{official}/{name}"], GRADIENT)
        found.append(gradient.flatten())
    cosine = float(F.cosine_similarity(*found, dim=0))
    assert cosine == pytest.approx(case.manifest["facts"]["cosine_of_the_two_gradients"][0], abs=1e-3)


def check_losses(
    case: Case,
    step: int,
    losses: Mapping[str, Tensor],
    expected: dict[str, Tensor],
    adapter: Adapter,
    relative: float,
) -> None:
    terms = {"total": sum(losses.values(), torch.zeros(())), **adapter.losses(case.config, losses)}
    assert f"loss/step{step}/total" in expected
    for name, value in terms.items():
        stored = float(expected[f"loss/step{step}/{name}"])
        assert abs(float(value.detach()) - stored) <= relative * max(1.0, abs(stored)), name


@trained
def test_three_steps_transfer_and_aggregation(case: Case) -> None:
    learner, trainable, adapter = build(case)
    expected, sgd = case.expected(), case.manifest["optimizer"]
    before = {official: parameter.detach().clone() for official, parameter in trainable.items()}
    optimizer = torch.optim.SGD(
        learner.parameters(), lr=sgd["lr"], momentum=sgd["momentum"], weight_decay=sgd["weight_decay"]
    )
    recipe = Recipe(epochs=case.config.get("epochs", sgd["steps"]), batch_size=1, lr=sgd["lr"])
    prompts = learner.training_prompts(classes(case, "class_names"))
    for step in range(1, sgd["steps"] + 1):
        images = shown(case, f"train{step}", learner)
        _, losses = learner.training_step(images, case.labels(f"train{step}"), prompts)
        check_losses(case, step, losses, expected, adapter, LATER_LOSS)
        optimizer.zero_grad()
        learner.backward(losses)
        optimizer.step()
        check_updates(expected, f"step{step}/param", trainable, before)
        if step == sgd["steps"]:
            check_scores(case, "final", learner, adapter, expected)
        learner.end_epoch(step, recipe)
    check_updates(expected, "gpa/param", trainable, before)
    check_scores(case, "gpa", learner, adapter, expected)


@pytest.mark.parametrize("case", [case for case in CASES if case.method == "2SFS"], ids=str)
def test_the_second_stage_of_2sfs(case: Case) -> None:
    learner, _, _ = build(case)
    expected, sgd = case.expected(), case.manifest["optimizer"]
    prompts = learner.training_prompts(classes(case, "class_names"))
    for stage, rate in ((0, sgd["lr"]), (1, case.config["STAGE2_LR"])):
        trained = learner.begin_stage(stage)
        start = trained["head"].detach().clone() if stage else torch.zeros(())
        if stage:
            close(case, "stage2/init", start, expected["stage2/init/classifier"], FINAL)
        optimizer = torch.optim.SGD(trained.values(), rate, sgd["momentum"], weight_decay=sgd["weight_decay"])
        for step in range(1, sgd["steps"] + 1):
            images = PixelBatch(case.pixels(f"train{step}"), learner.backbone)
            _, losses = learner.training_step(images, case.labels(f"train{step}"), prompts)
            optimizer.zero_grad()
            learner.backward(losses)
            optimizer.step()
            if stage:
                loss = float(losses["cross_entropy"].detach())
                assert loss == pytest.approx(float(expected[f"stage2/loss/step{step}"]), rel=LATER_LOSS)
                change = expected[f"stage2/step{step}/param/classifier"] - expected["stage2/init/classifier"]
                close(case, f"classifier after step {step}", trained["head"] - start, change, UPDATE)
        learner.end_stage(stage)
    base, novel = (classes(case, key) for key in ("class_names", "novel_class_names"))
    mixed = Classes((base.names[1], novel.names[0], base.names[0], novel.names[2]), base.template)
    images = PixelBatch(case.pixels("eval"), learner.backbone)
    with torch.no_grad():
        for which, names in (("base", base), ("novel", novel), ("mixed", mixed)):
            logits = learner.logits(images, learner.classifier(learner.prompts(names)))
            close(case, which, logits, expected[f"stage2/{which}/logits"], FINAL)


@torch.no_grad()
def check_scores(case: Case, stage: str, learner: Learner, adapter: Adapter, expected: dict[str, Tensor]) -> None:
    images = PixelBatch(case.pixels("eval"), learner.backbone)
    for side, names in (("base", "class_names"), ("novel", "novel_class_names")):
        keys = [key for key in expected if key.startswith(f"{stage}/{side}/")]
        if not keys:
            continue
        try:
            prompts = learner.prompts(classes(case, names))
        except CannotTransferError:
            assert side == "novel"
            assert case.config.get("CSC"), "only class-specific context may refuse novel classes"
            continue
        outputs = adapter.outputs(learner, images, prompts)
        own = adapter.base_logits if side == "base" else "logits"
        for key in keys:
            close(case, key, outputs[key.rsplit("/", 1)[1]], expected[key], FINAL)
        assert torch.equal(learner.logits(images, learner.classifier(prompts)), outputs[own])
