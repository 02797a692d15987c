"""The preview of a comparison: what it says is missing, and that its hours follow the work."""

from dataclasses import replace
from pathlib import Path

import pytest

from promptarena.benchmark.core.runs import RunSpec
from promptarena.benchmark.planning.gpu_hours import (
    BATCH_KERNELS,
    LAUNCH_SECONDS,
    REPLAYED_LAUNCHES,
    STEP_KERNELS,
    SUSTAINED_TFLOPS,
    GpuTime,
    gpu_hours,
    missing_data,
)
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
    operations = gpu_hours(SUITE, REGISTRY, [run])[run].products * 3600 * SUSTAINED_TFLOPS * 1e12
    seen = 50_000 + 8_000  # tested on, and 16 of each of 500 classes
    assert operations == pytest.approx(seen * IMAGE, rel=0.01)


def test_hours_grow_with_epochs_and_classes() -> None:
    (short, *_), (large, *_) = runs("coop", datasets=("eurosat",)), runs("coop", datasets=("dtd",))
    longer = replace(short, overrides=(("recipe.epochs", "400"),))
    hours = gpu_hours(SUITE, REGISTRY, [short, longer, large])
    for work in ("products", "launches", "decoding", "hours"):
        assert getattr(hours[short], work) < getattr(hours[longer], work)
    assert hours[short].products < hours[large].products


def test_a_shared_training_is_charged_once() -> None:
    cross = runs("maple", protocol="cross-dataset")
    variants = runs("maple", protocol="domain-generalization")
    together = gpu_hours(SUITE, REGISTRY, [*cross, *variants])
    alone = gpu_hours(SUITE, REGISTRY, variants)
    assert all(together[run].hours < alone[run].hours for run in variants)
    assert [together[run] for run in cross] == [gpu_hours(SUITE, REGISTRY, cross)[run] for run in cross]


def test_a_method_whose_prompts_see_the_image_costs_a_prompt_per_picture_and_class() -> None:
    untrained = {"overrides": (("recipe.epochs", "0"),)}
    plain, conditioned = (replace(runs(name, datasets=("imagenet",))[0], **untrained) for name in ("coop", "cocoop"))
    hours = gpu_hours(SUITE, REGISTRY, [plain, conditioned])
    assert hours[conditioned].products > 4 * hours[plain].products


def test_every_view_of_a_test_image_passes_the_image_tower() -> None:
    plain, viewed = runs("zeroshot", "rada-ttt", datasets=("eurosat",))[:2]
    hours = gpu_hours(SUITE, REGISTRY, [plain, viewed])
    tested = 8100 / 3600 / (SUSTAINED_TFLOPS * 1e12)  # EuroSAT's test images, base and novel ones
    assert hours[viewed].products - hours[plain].products == pytest.approx(63 * IMAGE * tested, rel=0.01)
    # Each image of it is a batch of its own.
    assert hours[viewed].launches == pytest.approx(BATCH_KERNELS * LAUNCH_SECONDS * 8100 / 3600, rel=0.1)


def test_a_run_takes_the_longest_of_its_three_kinds_of_work() -> None:
    one, other = GpuTime(products=3.0, launches=1.0, decoding=2.0), GpuTime(launches=5.0)
    assert (one.hours, one.bound) == (3.0, "products")
    assert one + other == GpuTime(3.0, 6.0, 2.0)
    assert (one + other).bound == "launches"


def test_every_missing_dataset_is_listed_with_a_reason(tmp_path: Path) -> None:
    missing = missing_data(SUITE, runs("zeroshot", protocol="domain-generalization"), tmp_path)
    assert list(missing) == ["imagenet", "imagenetv2", "imagenet-sketch", "imagenet-a", "imagenet-r"]
    assert missing["imagenet-a"].startswith(
        f"dataset 'imagenet-a': folder {tmp_path / 'imagenet-adversarial'} does not"
    )


def test_what_the_package_holds_is_never_missing() -> None:
    mini = load_suite("mini")
    assert missing_data(mini, enumerate_runs(mini, {"zeroshot": False}).runs, None) == {}


def test_steps_that_are_replayed_take_few_launches() -> None:
    plain, drawing = (replace(runs(name, datasets=("dtd",))[0], targets=()) for name in ("maple", "coprompt"))
    graphs, eager = (gpu_hours(SUITE, REGISTRY, [plain, drawing], cuda_graphs=each) for each in (True, False))
    assert eager[plain].launches / graphs[plain].launches == pytest.approx(STEP_KERNELS / REPLAYED_LAUNCHES)
    assert graphs[drawing] == eager[drawing]
    assert (graphs[plain].products, graphs[plain].decoding) == (eager[plain].products, eager[plain].decoding)
