"""Estimates: proportional to the work, from the runs that were measured."""

from promptarena.benchmark.planning.estimates import Estimator, Workload

COST = {"train_seconds": 10.0, "train_images": 100, "eval_seconds": 5.0, "eval_images": 50}


def test_a_measured_method_takes_its_own_time() -> None:
    estimator = Estimator()
    estimator.learn("coop", COST)
    assert estimator.seconds("coop", Workload(100, 7, 50)) == 15.0
    assert estimator.seconds("coop", Workload(200, 7, 0)) == 20.0


def test_another_method_takes_the_mean_of_all_and_nothing_is_known_at_first() -> None:
    estimator, load = Estimator(), Workload(100, 0, 50)
    assert estimator.seconds("coop", load) == 0.0
    estimator.learn("coop", COST)
    estimator.learn("zeroshot", {"train_seconds": 0.0, "train_images": 0, "eval_seconds": 5.0, "eval_images": 50})
    assert estimator.seconds("maple", load) == 10.0
    assert (estimator.knows("coop", load), estimator.knows("maple", load)) == (True, False)


def test_what_was_only_scored_says_nothing_of_a_training() -> None:
    estimator = Estimator()
    estimator.learn("coop", COST | {"train_seconds": 0.0, "train_images": 0})
    assert estimator.knows("coop", Workload(0, 0, 50))
    assert not estimator.knows("coop", Workload(100, 7, 50))
    assert not estimator.knows("coop", Workload(100, 7, 0))
