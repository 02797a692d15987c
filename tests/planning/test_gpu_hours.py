"""The preview of a comparison: what it says is missing, and that its hours follow the work."""

from dataclasses import replace
from pathlib import Path

import pytest

from promptarena.benchmark.core.runs import RunSpec
from promptarena.benchmark.planning.gpu_hours import SUSTAINED_TFLOPS, gpu_hours, missing_data
from promptarena.benchmark.planning.protocols import enumerate_runs
from promptarena.benchmark.planning.suites import load_suite
from promptarena.benchmark.plugins.registry import load_registry

SUITE = load_suite("clip-15")
REGISTRY = load_registry(())
IMAGE = 32.7e9
"""Operations of one 224 x 224 picture in ViT-B/16, forward, the last block for the class token only."""


def runs(*methods: str, protocol: str = "base-to-novel", datasets: tuple[str, ...] = ()) -> tuple[RunSpec, ...]:
    seeded = {name: REGISTRY.get(name).learner.seeded for name in methods}
    return enumerate_runs(SUITE, seeded, protocols=[protocol], datasets=datasets).runs


def test_zero_shot_costs_its_pictures_and_one_prompt_a_class() -> None:
    (run,) = runs("zeroshot", datasets=("imagenet",))
    operations = gpu_hours(SUITE, REGISTRY, [run])[run] * 3600 * SUSTAINED_TFLOPS * 1e12
    seen = 50_000 + 8_000  # tested on, and 16 of each of 500 classes
    assert operations == pytest.approx(seen * IMAGE, rel=0.01)


def test_hours_grow_with_epochs_and_classes() -> None:
    (short, *_), (large, *_) = runs("coop", datasets=("eurosat",)), runs("coop", datasets=("dtd",))
    longer = replace(short, overrides=(("recipe.epochs", "400"),))
    hours = gpu_hours(SUITE, REGISTRY, [short, longer, large])
    assert hours[short] < hours[longer]
    assert hours[short] < hours[large]


def test_a_shared_training_is_charged_once() -> None:
    cross = runs("maple", protocol="cross-dataset")
    variants = runs("maple", protocol="domain-generalization")
    together = gpu_hours(SUITE, REGISTRY, [*cross, *variants])
    alone = gpu_hours(SUITE, REGISTRY, variants)
    assert all(together[run] < alone[run] for run in variants)
    assert [together[run] for run in cross] == [gpu_hours(SUITE, REGISTRY, cross)[run] for run in cross]


def test_a_method_whose_prompts_see_the_image_costs_a_prompt_per_picture_and_class() -> None:
    untrained = {"overrides": (("recipe.epochs", "0"),)}
    plain, conditioned = (replace(runs(name, datasets=("imagenet",))[0], **untrained) for name in ("coop", "cocoop"))
    hours = gpu_hours(SUITE, REGISTRY, [plain, conditioned])
    assert hours[conditioned] > 4 * hours[plain]


def test_every_missing_dataset_is_told_with_a_reason(tmp_path: Path) -> None:
    missing = missing_data(SUITE, runs("zeroshot", protocol="domain-generalization"), tmp_path)
    assert list(missing) == ["imagenet", "imagenetv2", "imagenet-sketch", "imagenet-a", "imagenet-r"]
    assert missing["imagenet-a"].startswith(
        f"dataset 'imagenet-a': folder {tmp_path / 'imagenet-adversarial'} does not"
    )


def test_what_the_package_holds_is_never_missing() -> None:
    mini = load_suite("mini")
    assert missing_data(mini, enumerate_runs(mini, {"zeroshot": False}).runs, None) == {}
