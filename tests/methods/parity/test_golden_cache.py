"""Golden cases of Tip-Adapter and Tip-Adapter-F: the cache, the logits, three AdamW steps and the search."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from golden import Case, cases
from golden_checks import FINAL, GRADIENT, LATER_LOSS, STEP0, check_updates, close
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import TrainingTask, learning_rate
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.benchmark.training.loop import make_optimizer
from promptarena.methods import tip_adapter
from promptarena.methods.tip_adapter import TipAdapter, TipAdapterConfig, TipAdapterF

CASES = [case for case in cases() if case.method.startswith("TipAdapter")]
PICK = 1e-6  # relative, of alpha and beta
pytestmark = pytest.mark.needs("golden vectors")
each = pytest.mark.parametrize("case", CASES, ids=str)
tuned = pytest.mark.parametrize("case", [case for case in CASES if case.method == "TipAdapterF"], ids=str)


@dataclass(frozen=True)
class GoldenShots:
    """The case's cached images, each random view a batch of its own, and its validation images."""

    case: Case

    @property
    def train(self) -> Any:
        raise AssertionError("the plain training images were asked for")

    @property
    def train_labels(self) -> Tensor:
        return self.case.labels("view1")

    @property
    def val(self) -> PixelBatch:
        return batch(self.case, "val")

    @property
    def val_labels(self) -> Tensor:
        return self.case.labels("val")

    def augmented(self, index: int) -> PixelBatch:
        return batch(self.case, self.case.config["cache_views"][index - 1])


def batch(case: Case, name: str) -> PixelBatch:
    return PixelBatch(case.pixels(name), case.backbone())


def fitted(case: Case) -> Any:
    """The learner with its cache, at the initial alpha and beta."""
    config = case.config
    s_b, s_a = config["search_scale"]
    templates = tuple(config["templates"])
    kind = TipAdapterF if case.method == "TipAdapterF" else TipAdapter
    learner = kind(
        case.backbone(),
        TipAdapterConfig(
            templates=templates,
            alpha=config["init_alpha"],
            beta=config["init_beta"],
            alpha_search=s_a,
            beta_search=s_b,
            passes=config["augment_epoch"],
        ),
        classes(case),
        torch.Generator(),
    )
    learner.fit(GoldenShots(case))
    return learner


def classes(case: Case) -> Classes:
    names = tuple(name.replace("_", " ") for name in case.manifest["class_names"])
    return Classes(names, "not {} used")


def trained(case: Case) -> Any:
    """The learner after the case's steps, which are checked on the way."""
    learner, expected, official = fitted(case), case.expected(), case.manifest["optimizer"]
    _, recipe = TipAdapterF.preset(TrainingTask(protocol="few-shot", shots=16, is_source=False))
    settings = {name: official[name] for name in ("lr", "eps", "weight_decay")}
    recipe = recipe.model_copy(update={"epochs": 1, **settings})
    weight = {"adapter.weight": learner.keys}
    before = {name: keys.detach().clone() for name, keys in weight.items()}
    optimizer = make_optimizer(dict(learner.named_parameters()), learner.lr_factor, recipe)
    assert optimizer.param_groups[0]["betas"] == tuple(official["betas"])
    prompts, steps = learner.training_prompts(classes(case)), official["steps"]
    for step, official_rate in enumerate(official["lrs"]):
        rate = learning_rate(recipe, 1, step, steps)
        assert rate == pytest.approx(official_rate)
        optimizer.param_groups[0]["lr"] = rate
        name = f"train{step + 1}"
        _, losses = learner.training_step(batch(case, name), case.labels(name), prompts)
        stored = float(expected[f"loss/step{step + 1}/total"])
        assert float(losses["cross_entropy"].detach()) == pytest.approx(stored, abs=LATER_LOSS * max(1.0, stored))
        optimizer.zero_grad()
        learner.backward(losses)
        optimizer.step()
        check_updates(expected, f"step{step + 1}/param", weight, before)
    return learner


@torch.no_grad()
def logits(learner: Any, case: Case, name: str) -> Tensor:
    found: Tensor = learner.logits(batch(case, name), learner.classifier(learner.prompts(classes(case))))
    return found


@each
def test_the_cache_and_the_logits_before_training(case: Case) -> None:
    learner, expected = fitted(case), case.expected()
    w, values = learner.prompts(classes(case))
    close(case, "classifier", w, expected["base/text_features_normalized"], STEP0)
    assert torch.equal(values, expected["cache/values"])
    close(
        case,
        "keys",
        learner.keys,
        expected["init/adapter.weight" if "init_seed" in case.manifest else "cache/keys"],
        STEP0,
    )
    close(case, "step0/logits", logits(learner, case, "eval"), expected["step0/logits"], STEP0)
    if "val/logits" in expected:
        close(case, "val/logits", logits(learner, case, "val"), expected["val/logits"], STEP0)
    if "zeroshot/logits" in expected:
        learner.alpha = torch.tensor(0.0)
        close(case, "zeroshot/logits", logits(learner, case, "eval"), expected["zeroshot/logits"], STEP0)


@tuned
def test_the_first_gradient_of_the_keys(case: Case) -> None:
    learner, expected = fitted(case), case.expected()
    _, losses = learner.training_step(batch(case, "eval"), case.labels("eval"), learner.training_prompts(classes(case)))
    stored = float(expected["loss/step0/total"])
    assert float(losses["cross_entropy"].detach()) == pytest.approx(stored, abs=STEP0 * max(1.0, stored))
    learner.backward(losses)
    close(case, "step0/grad", learner.keys.grad, expected["step0/grad/adapter.weight"], GRADIENT)


@tuned
def test_three_steps_of_the_keys(case: Case) -> None:
    close(case, "final", logits(trained(case), case, "eval"), case.expected()["final/base/logits"], FINAL)


@each
def test_the_search_counts_and_picks_as_the_official_one(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, grid_of = dict(zip((200, 20), case.config["search_step"], strict=True)), tip_adapter._grid
    monkeypatch.setattr(tip_adapter, "_grid", lambda limit, count, f: grid_of(limit, steps[count], f))
    learner, expected = trained(case) if "optimizer" in case.manifest else fitted(case), case.expected()
    betas, alphas = (
        [0.1 + i * (limit - 0.1) / steps for i in range(steps)]
        for limit, steps in zip(case.config["search_scale"], case.config["search_step"], strict=True)
    )
    assert right_of_all_pairs(learner, case, betas, alphas) == expected["search/right"].int().tolist()
    learner.end_training(GoldenShots(case))
    for name, grid in (("beta", betas), ("alpha", alphas)):
        picked, official = float(getattr(learner, name)), float(expected[f"search/{name}"])
        assert nearest(grid, picked) == nearest(grid, official), name
        assert picked == pytest.approx(official, rel=PICK), name
    key = "searched/base/logits" if "optimizer" in case.manifest else "final/base/logits"
    close(case, key, logits(learner, case, "eval"), expected[key], FINAL)


@torch.no_grad()
def right_of_all_pairs(learner: Any, case: Case, betas: list[float], alphas: list[float]) -> list[list[int]]:
    """The right validation images at every (beta, alpha), by the learner's own logits."""
    images, labels = batch(case, "val"), case.labels("val")
    classifier, kept = learner.classifier(learner.prompts(classes(case))), (learner.alpha, learner.beta)
    found = []
    for beta in betas:
        learner.beta = torch.tensor(beta)
        found.append([])
        for alpha in alphas:
            learner.alpha = torch.tensor(alpha)
            found[-1].append(int((learner.logits(images, classifier).argmax(-1) == labels).sum()))
    learner.alpha, learner.beta = kept
    return found


def nearest(grid: list[float], value: float) -> int:
    return min(range(len(grid)), key=lambda index: abs(grid[index] - value))
