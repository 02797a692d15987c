"""Recipes: the steps of an epoch, and what a recipe looks like in a run's key."""

import pytest
import torch

from promptarena.benchmark.core.recipe import LATER, Recipe, adapted, images_seen, set_rates

RECIPE = Recipe(epochs=20, batch_size=256, lr=0.001)
OTHER = {"drop_last": False, "factors_in_warmup": False, "one_class": True}
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
    other = RECIPE.model_copy(update={name: OTHER[name]})
    assert OTHER[name] != default
    assert Recipe.model_validate_json(other.model_dump_json()) == other
    assert name in other.model_dump(mode="json")


def test_factors_may_act_behind_the_warm_up_only() -> None:
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [weights[0]], "factor": 1.0}, {"params": [weights[1]], "factor": 6.5}])
    recipe = RECIPE.model_copy(update={"warmup_epochs": 1, "factors_in_warmup": False, "one_class": True})
    for epoch, factor in ((1, 1.0), (2, 6.5)):
        set_rates(optimizer, recipe, 0.01, epoch)
        assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.01 * factor]
    set_rates(optimizer, recipe.model_copy(update={"factors_in_warmup": True}), 0.01, 1)
    assert optimizer.param_groups[1]["lr"] == 0.01 * 6.5
