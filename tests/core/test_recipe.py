"""Recipes: the steps of an epoch, and what a recipe looks like in a run's key."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from promptarena.benchmark.core.recipe import LATER, Recipe, adapted, images_seen, in_epochs, learning_rate, set_rates

RECIPE = Recipe(epochs=20, batch_size=256, lr=0.001)
OTHER = {
    "drop_last": False,
    "factors_in_warmup": False,
    "one_class": True,
    "iterations": (5, 3),
    "final_lr": 1e-6,
    "augmentation": "randaugment",
}
WHOLE = RECIPE.model_copy(update={"drop_last": False})


@pytest.mark.parametrize(
    ("images", "dropped", "whole"),
    [(1, 1, 1), (255, 1, 1), (256, 1, 1), (257, 1, 2), (511, 1, 2), (512, 2, 2), (752, 2, 3), (16000, 62, 63)],
)
def test_the_steps_of_an_epoch_with_and_without_the_last_batch(images: int, dropped: int, whole: int) -> None:
    assert (RECIPE.steps(images), WHOLE.steps(images)) == (dropped, whole)
    assert images_seen(RECIPE, images) == 20 * min(images, 256 * dropped)
    assert images_seen(WHOLE, images) == 20 * images


def test_an_epoch_that_is_cut_short_has_no_last_batch() -> None:
    short = WHOLE.model_copy(update={"epoch_steps": 2})
    assert short.steps(752) == 2
    assert images_seen(short, 752) == 20 * 512


def test_a_cap_on_steps_counts_the_last_batch() -> None:
    def capped(recipe: Recipe) -> Recipe:
        rates = {"lr_multiplier": 1.0, "adaptive_lr_multiplier": 1.0}
        return adapted(recipe, 752, **rates, max_epochs=None, max_steps=30, augment=True)

    assert (capped(RECIPE).epochs, capped(WHOLE).epochs) == (15, 10)


def test_a_recipe_that_drops_the_last_batch_is_written_as_before_it_could_do_otherwise() -> None:
    """The keys of all recorded runs contain these settings and no other."""
    assert list(RECIPE.model_dump(mode="json")) == [
        "epochs",
        "batch_size",
        "epoch_steps",
        "lr",
        "optimizer",
        "eps",
        "schedule",
        "momentum",
        "weight_decay",
        "warmup_epochs",
        "warmup_lr",
        "clip_gradient",
        "augment",
        "crop_scale",
    ]
    assert WHOLE.model_dump(mode="json") == RECIPE.model_dump(mode="json") | {"drop_last": False}


@pytest.mark.parametrize("recipe", [RECIPE, WHOLE], ids=["dropped", "whole"])
def test_a_written_recipe_is_read_back(recipe: Recipe) -> None:
    assert Recipe(**recipe.model_dump(mode="json")) == recipe
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


@pytest.mark.parametrize("name", LATER)
def test_later_settings_are_written_only_when_they_differ_from_their_default(name: str) -> None:
    default = Recipe.model_fields[name].default
    assert name not in RECIPE.model_dump(mode="json")
    other = RECIPE.model_copy(update={"schedule": "by step", name: OTHER[name]})
    assert OTHER[name] != default
    assert Recipe.model_validate_json(other.model_dump_json()) == other
    assert name in other.model_dump(mode="json")


def test_factors_may_act_after_the_warm_up_only() -> None:
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [weights[0]], "factor": 1.0}, {"params": [weights[1]], "factor": 6.5}])
    recipe = RECIPE.model_copy(update={"warmup_epochs": 1, "factors_in_warmup": False, "one_class": True})
    for epoch, factor in ((1, 1.0), (2, 6.5)):
        set_rates(optimizer, recipe, 0.01, epoch)
        assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.01 * factor]
    set_rates(optimizer, recipe.model_copy(update={"factors_in_warmup": True}), 0.01, 1)
    assert optimizer.param_groups[1]["lr"] == 0.01 * 6.5


LONG = Recipe(epochs=1, iterations=(100,), batch_size=8, lr=2e-4, final_lr=1e-6, schedule="by step", warmup_epochs=0)


def steps_of(recipe: Recipe, images: int) -> list[tuple[int, float]]:
    """(stage, rate) of every step, as the loop takes them."""
    steps, taken = recipe.steps(images), []
    for epoch in range(1, recipe.epochs + 1):
        stage = recipe.stage(epoch, steps)
        for step in range(min(steps, stage.total - stage.before)):
            taken.append((stage.number, learning_rate(recipe, epoch, step, steps)))
    return taken


@given(
    iterations=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    images=st.integers(1, 60),
    drop_last=st.booleans(),
)
def test_a_recipe_in_iterations_takes_exactly_those(iterations: list[int], images: int, drop_last: bool) -> None:
    recipe = in_epochs(LONG.model_copy(update={"iterations": tuple(iterations), "drop_last": drop_last}), images)
    taken = steps_of(recipe, images)
    assert [sum(stage == number for stage, _ in taken) for number in range(len(iterations))] == iterations
    assert sorted(stage for stage, _ in taken) == [stage for stage, _ in taken]
    ends = [recipe.stage(epoch, recipe.steps(images)).ends for epoch in range(1, recipe.epochs + 1)]
    assert sum(ends) == len(iterations)
    assert ends[-1]


def test_each_stage_has_the_whole_cosine() -> None:
    """The rates of torch's CosineAnnealingLR, moved after every step."""
    taken = steps_of(in_epochs(LONG.model_copy(update={"iterations": (30, 7)}), 100), 100)
    for number, total in ((0, 30), (1, 7)):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total, eta_min=1e-6)
        for rate in (rate for stage, rate in taken if stage == number):
            assert rate == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6)
            optimizer.step()
            schedule.step()


def test_limits_shorten_all_stages_equally() -> None:
    recipe = LONG.model_copy(update={"iterations": (60, 40)})
    assert in_epochs(recipe, 80).iterations == (60, 40)
    assert in_epochs(recipe, 80, max_steps=50).iterations == (30, 20)
    assert in_epochs(recipe, 80, max_epochs=2).iterations == (12, 8)
    assert in_epochs(recipe, 80, max_epochs=0).epochs == 0
    assert in_epochs(RECIPE, 80, max_steps=1) == RECIPE


def test_iterations_need_the_schedule_by_step() -> None:
    with pytest.raises(ValueError, match="needs the schedule 'by step'"):
        Recipe(epochs=1, iterations=(5,), batch_size=4, lr=0.1)
