"""Recorded steps: a training with replayed steps has the bits of one whose steps are carried out as they stand."""

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from stackable import RECIPE, SEEDS, linear
from tape import Tape
from torch import Tensor

from promptarena.benchmark.backbone.accelerations import ALL, Precision
from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.recipe import Recipe, in_epochs
from promptarena.benchmark.plugins.learner import Learner
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.benchmark.training import step_graphs
from promptarena.benchmark.training.checkpoint import Checkpoint
from promptarena.benchmark.training.loop import train
from promptarena.benchmark.training.seed_batch import Member, train_together
from promptarena.benchmark.training.step_graphs import WARM_UP, CudaGraphs, Recorder

REGISTRY = load_registry(())
SETTINGS: dict[str, dict[str, Any]] = {"dear": {"mask": "none"}}
DRAWING = {"coprompt", "clip-lora"}
"""Methods whose steps draw at random."""

IMAGES = 10
SHORT: dict[str, Any] = {"batch_size": 4, "drop_last": False, "warmup_epochs": 1}
EPOCHS = 4
"""Of two full batches and one of two images each: five replayed steps and one."""


@lru_cache(maxsize=3)
def as_on_a_gpu(precision: Precision) -> Backbone:
    """A tiny CLIP that packs no texts: how they are packed depends on their lengths, which a GPU does not read."""
    clip = tiny.model(tiny.config(layers=12) | {"embed_dim": 64})
    return Backbone(clip, "tiny", "digest", tiny.CPU, precision, accelerations=replace(ALL, pack_texts=False))


def learner(name: str, precision: Precision = "fp32", seed: int = 1) -> tuple[Learner, Recipe]:
    kind = REGISTRY.get(name).learner
    config, recipe = kind.preset(tiny.training_task())
    config = tiny.few_templates(config.model_validate(config.model_dump() | SETTINGS.get(name, {})))
    changes = SHORT | ({"iterations": tuple(9 for _ in recipe.iterations)} if recipe.iterations else {"epochs": EPOCHS})
    recipe = in_epochs(recipe.model_copy(update=changes), IMAGES)
    backbone = as_on_a_gpu(precision)
    return kind(backbone, config, tiny.task().classes, torch.Generator().manual_seed(seed)), recipe


def trained(
    made: Learner,
    recipe: Recipe,
    folder: Path,
    recorder: Recorder | None = None,
    stop: int | None = None,
    seed: int = 1,
) -> Checkpoint:
    def heard(curve: Mapping[str, float]) -> None:
        if curve["epoch"] == stop:
            raise KeyboardInterrupt

    return train(
        made,
        recipe,
        tiny.task(IMAGES, seed),
        cache=tiny.cache(folder.parent),
        checkpoint=folder / f"{seed}.safetensors",
        train_key=f"key {seed}",
        on_epoch=heard,
        recorder=recorder,
    )


def same_bits(one: Checkpoint, other: Any) -> None:
    assert isinstance(other, Checkpoint)
    assert (one.epoch, one.curves, one.scaler) == (other.epoch, other.curves, other.scaler)
    for mine, theirs in ((one.learner, other.learner), (one.optimizer, other.optimizer)):
        assert mine.keys() == theirs.keys()
        for name, tensor in mine.items():
            assert tensor.dtype == theirs[name].dtype
            assert torch.equal(tensor, theirs[name]), name


def training_methods() -> list[str]:
    methods = REGISTRY.methods.items()
    return sorted(name for name, each in methods if each.learner.preset(tiny.training_task())[1].epochs)


@pytest.mark.parametrize("name", training_methods())
def test_replayed_steps_of_every_method_have_the_bits_of_plain_ones(name: str, tmp_path: Path) -> None:
    plain = trained(*learner(name), tmp_path / "plain")
    tape = Tape()
    replayed = trained(*learner(name), tmp_path / "replayed", tape)
    same_bits(plain, replayed)
    assert bool(replayed.graphs.replayed) == (name not in DRAWING), replayed.graphs
    assert bool(replayed.graphs.refused) == (name in DRAWING)
    assert tape.captures == 0 or replayed.graphs.replayed >= replayed.steps - 4 * WARM_UP


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("name", ["maple", "mmrl", "rada", "prograd"])
def test_in_mixed_precision_too(name: str, precision: Precision, tmp_path: Path) -> None:
    plain = trained(*learner(name, precision), tmp_path / "plain")
    replayed = trained(*learner(name, precision), tmp_path / "replayed", Tape())
    same_bits(plain, replayed)
    assert replayed.graphs.replayed


@pytest.mark.parametrize("limit", [None, 0.01])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_every_optimiser_and_limit_is_kept(optimizer: Any, limit: float | None, tmp_path: Path) -> None:
    made, recipe = learner("coop")
    recipe = recipe.model_copy(update={"optimizer": optimizer, "clip_gradient": limit, "schedule": "by step"})
    plain = trained(made, recipe, tmp_path / "plain")
    same_bits(plain, trained(learner("coop")[0], recipe, tmp_path / "replayed", Tape()))


@pytest.mark.parametrize("stop", [2, 3])
def test_an_interrupted_training_goes_on_with_or_without_a_record(stop: int, tmp_path: Path) -> None:
    whole = trained(*learner("maple"), tmp_path / "whole")
    for number, (first, second) in enumerate([(Tape(), None), (None, Tape()), (Tape(), Tape())]):
        folder = tmp_path / str(number)
        with pytest.raises(KeyboardInterrupt):
            trained(*learner("maple"), folder, first, stop)
        same_bits(whole, trained(*learner("maple"), folder, second))


@pytest.mark.parametrize("name", sorted(n for n, m in REGISTRY.methods.items() if vars(m.learner).get("stackable")))
def test_seeds_together_are_replayed_as_one(name: str, tmp_path: Path) -> None:
    def all_of(recorder: Recorder | None, folder: Path) -> list[Any]:
        members = [
            Member(
                learner(name, seed=seed)[0],
                tiny.task(IMAGES, seed),
                folder / f"{seed}.safetensors",
                "key",
                lambda _: None,
            )
            for seed in SEEDS[:2]
        ]
        return train_together(members, learner(name)[1], tiny.cache(tmp_path), recorder)

    tape = Tape()
    for one, other in zip(all_of(None, tmp_path / "a"), all_of(tape, tmp_path / "b"), strict=True):
        same_bits(one, other)
        assert other.graphs.replayed >= other.steps - 2 * WARM_UP
    assert tape.captures == 2


class Counting(tiny.Linear):
    """Each step weighs more than the one before."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.taken: Any = 0

    def training_step(self, images: Any, labels: Tensor, prompts: Any) -> Any:
        self.taken = self.taken + 1
        logits, losses = super().training_step(images, labels, prompts)
        return logits, {name: value * self.taken for name, value in losses.items()}


class CountingInAList(Counting):
    def training_step(self, images: Any, labels: Tensor, prompts: Any) -> Any:
        self.noted = [*getattr(self, "noted", []), len(labels)]
        return tiny.Linear.training_step(self, images, labels, prompts)


class Averaging(Counting):
    """It keeps a mean of its losses in a new tensor each time."""

    def training_step(self, images: Any, labels: Tensor, prompts: Any) -> Any:
        logits, losses = tiny.Linear.training_step(self, images, labels, prompts)
        loss = losses["cross_entropy"]
        self.taken = 0.9 * self.taken + 0.1 * loss.detach()
        return logits, {"cross_entropy": loss * self.taken}


class Drawing(Counting):
    """It drops features, by a generator of its own."""

    def begin_epoch(self, epoch: int, random: torch.Generator) -> None:
        self.random = np.random.default_rng(int(torch.randint(9999, (1,), generator=random)))

    def training_step(self, images: Any, labels: Tensor, prompts: Any) -> Any:
        logits, losses = tiny.Linear.training_step(self, images, labels, prompts)
        return logits, {"cross_entropy": losses["cross_entropy"] * float(self.random.random())}


class Reading(Counting):
    """It looks at a value."""

    def training_step(self, images: Any, labels: Tensor, prompts: Any) -> Any:
        logits, losses = tiny.Linear.training_step(self, images, labels, prompts)
        return logits, {"cross_entropy": losses["cross_entropy"] * (2 if logits.detach().sum().item() > 0 else 1)}


class Replacing(Counting):
    """Between epochs it takes another tensor for a parameter, and another factor."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.factor = 1.0

    def end_epoch(self, epoch: int, recipe: Recipe) -> None:
        if epoch == 3:
            self.weight.data = self.weight.data.clone() / 2
            self.factor = 3.0

    def training_step(self, images: Any, labels: Tensor, prompts: Any) -> Any:
        logits, losses = tiny.Linear.training_step(self, images, labels, prompts)
        return logits, {"cross_entropy": losses["cross_entropy"] * self.factor}


def toy(kind: type[Counting]) -> Counting:
    return kind(tiny.backbone(), kind.config_type(), tiny.task().classes, torch.Generator().manual_seed(1))


TOYS = Recipe(epochs=6, batch_size=5, lr=0.1, warmup_lr=0.05)


@pytest.mark.parametrize("kind", [Counting, CountingInAList, Averaging, Drawing, Reading])
def test_a_step_that_a_replay_would_not_carry_out_is_not_recorded(kind: type[Counting], tmp_path: Path) -> None:
    plain = trained(toy(kind), TOYS, tmp_path / "plain")
    found = trained(toy(kind), TOYS, tmp_path / "tape", Tape())
    same_bits(plain, found)
    assert found.graphs.replayed == 0
    assert found.graphs.refused
    assert "\n" not in found.graphs.refused


def test_what_changes_between_epochs_is_recorded_again(tmp_path: Path) -> None:
    plain, tape = trained(toy(Replacing), TOYS, tmp_path / "plain"), Tape()
    found = trained(toy(Replacing), TOYS, tmp_path / "tape", tape)
    same_bits(plain, found)
    assert (tape.captures, found.graphs.replayed) == (2, 2 * (6 - WARM_UP))


class Failing(Tape):
    def capture(self, step: Callable[[], Any]) -> Any:
        super().capture(step)
        raise torch.OutOfMemoryError("CUDA out of memory\nin the pool")


def test_where_recording_fails_the_training_goes_on(tmp_path: Path) -> None:
    plain = trained(toy(Replacing), TOYS, tmp_path / "plain")
    failing = Failing()
    found = trained(toy(Replacing), TOYS, tmp_path / "tape", failing)
    same_bits(plain, found)
    assert (failing.captures, found.graphs.replayed) == (1, 0)
    assert found.graphs.refused.startswith("OutOfMemoryError: CUDA out of memory")


def test_steps_warm_up_and_are_recorded_on_one_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []

    class Stream:
        def __init__(self, name: Any) -> None:
            self.name = name

        def wait_stream(self, other: "Stream") -> None:
            said.append((self.name, "waits for", other.name))

    class Graph:
        def replay(self) -> None:
            said.append("replay")

    @contextmanager
    def on(stream: Stream) -> Any:
        said.append(("on", stream.name))
        yield
        said.append(("off", stream.name))

    @contextmanager
    def graph(_: Graph, *, pool: Any, stream: Stream, capture_error_mode: str) -> Any:
        said.append(("capture", pool, stream.name, capture_error_mode))
        yield

    cuda = step_graphs.torch.cuda
    monkeypatch.setattr(cuda, "Stream", lambda device: Stream("side"))
    monkeypatch.setattr(cuda, "current_stream", lambda device: Stream("current"))
    monkeypatch.setattr(cuda, "graph_pool_handle", lambda: "pool")
    monkeypatch.setattr(cuda, "stream", on)
    monkeypatch.setattr(cuda, "graph", graph)
    monkeypatch.setattr(cuda, "CUDAGraph", Graph)
    recorder = CudaGraphs(torch.device("cuda", 1))
    terms = {"loss": torch.ones(())}
    assert recorder.warm_up(lambda: terms) is terms
    assert said == [("side", "waits for", "current"), ("on", "side"), ("off", "side"), ("current", "waits for", "side")]
    said.clear()
    found, replay = recorder.capture(lambda: terms)
    replay()
    assert found is terms
    assert said == [("on", "side"), ("capture", "pool", "side", "thread_local"), ("off", "side"), "replay"]


def test_seeds_of_a_toy_are_replayed(tmp_path: Path) -> None:
    members = [
        Member(linear(seed), tiny.task(seed=seed), tmp_path / f"{seed}.safetensors", "key", lambda _: None)
        for seed in SEEDS
    ]
    found = train_together(members, RECIPE.model_copy(update={"epochs": 4}), tiny.cache(tmp_path), Tape())
    assert all(isinstance(each, Checkpoint) and each.graphs.replayed for each in found)
