"""Estimates how long runs will take, from the times of finished runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Workload:
    """The size of a run: images processed in training, class prompts encoded in training, images scored."""

    train_images: int
    train_prompts: int
    eval_images: int

    @property
    def passes(self) -> int:
        """The sum of images and prompts: a rough size, used to start the longest runs first."""
        return self.train_images + self.train_prompts + self.eval_images

    def without_training(self) -> "Workload":
        """The part that is scored."""
        return Workload(0, 0, self.eval_images)


@dataclass
class _Spent:
    train_seconds: float = 0.0
    train_images: int = 0
    eval_seconds: float = 0.0
    eval_images: int = 0


@dataclass
class Estimator:
    """Measured seconds per training image and per scored image of each method label."""

    _spent: dict[str, _Spent] = field(default_factory=dict)

    def learn(self, label: str, cost: Mapping[str, float]) -> None:
        """Add a finished run.

        Args:
            label: The method's label.
            cost: The fields of `runs.Cost` by name.
        """
        spent = self._spent.setdefault(label, _Spent())
        spent.train_seconds += cost["train_seconds"]
        spent.train_images += int(cost["train_images"])
        spent.eval_seconds += cost["eval_seconds"]
        spent.eval_images += int(cost["eval_images"])

    def knows(self, label: str, load: Workload) -> bool:
        """Whether runs of this label were measured in all that the run consists of, training and scoring."""
        spent = self._spent.get(label, _Spent())
        trained = spent.train_seconds > 0 or not load.train_images
        return trained and (spent.eval_seconds > 0 or not load.eval_images)

    def seconds(self, label: str, load: Workload) -> float:
        """The expected time of a run.

        Args:
            label: The method's label.
            load: The size of the run.

        Returns:
            Seconds. For a label that was never measured, the mean over the measured labels; 0 when there are none.
        """
        spent = self._spent.get(label)
        if spent is None:
            others = list(self._spent.values())
            return sum(_scaled(other, load) for other in others) / len(others) if others else 0.0
        return _scaled(spent, load)


def _scaled(spent: _Spent, load: Workload) -> float:
    train = spent.train_seconds / spent.train_images * load.train_images if spent.train_images else 0.0
    return train + (spent.eval_seconds / spent.eval_images * load.eval_images if spent.eval_images else 0.0)
