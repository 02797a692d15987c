"""A suite's changes of recipes."""

from promptarena.benchmark.planning.training_defaults import TrainingDefaults


def test_a_method_with_a_multiplier_of_its_own_has_it_with_every_optimiser() -> None:
    training = TrainingDefaults(lr_multiplier=9, adaptive_lr_multiplier=3, own_lr_multipliers={"coop": 2}, max_epochs=7)
    assert training.changes("coop") == training.changes("maple") | {"lr_multiplier": 2, "adaptive_lr_multiplier": 2}
    assert training.changes("maple") == {
        "lr_multiplier": 9,
        "adaptive_lr_multiplier": 3,
        "max_epochs": 7,
        "max_steps": None,
        "augment": True,
    }
