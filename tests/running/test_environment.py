"""What a run says of how its figures came about."""

import tiny

from promptarena.benchmark.running.environment import PACKAGES, environment


def test_it_says_how_the_learner_was_come_by() -> None:
    trained = environment(tiny.backbone(), 1, steps=12)
    scored = environment(tiny.backbone(), 1, learner_of="a run")
    assert trained["training_steps"] == "12"
    assert "learner_of" not in trained
    assert (scored["training_steps"], scored["learner_of"]) == ("0", "a run")
    assert set(PACKAGES) <= set(trained)
    assert all(isinstance(value, str) for value in trained.values())
