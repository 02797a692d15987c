"""What the user requests, and whether its names exist. Needs no method's code, so a typo is found at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from promptarena.benchmark.core.errors import unknown
from promptarena.benchmark.core.protocol_table import protocol_info
from promptarena.benchmark.planning.suites import Suite
from promptarena.benchmark.plugins.cards import ALL, method_names
from promptarena.benchmark.plugins.families import GROUPS


@dataclass(frozen=True)
class Request:
    """What the user requests to compare.

    An empty sequence stands for the suite's default; of `methods`, also for those of the plugin files. The method "all"
    stands for every method there is, the ablation "all" for every ablation that a method declares. `augment_on_device`
    changes the setting recipe.augmentation of the methods that are trained on random crops.
    """

    methods: Sequence[str] = ()
    protocols: Sequence[str] = ()
    datasets: Sequence[str] = ()
    seeds: Sequence[int] = ()
    shots: Sequence[int] = ()
    settings: Sequence[str] = ()
    ablations: Sequence[str] = ()
    augment_on_device: bool = False

    def check_names(self, suite: Suite, plugins: Sequence[Path] = ()) -> None:
        """Check the names that are known without importing any method.

        Args:
            suite: The suite.
            plugins: Files with further methods; their names are not known before they are run.

        Raises:
            UserError: A protocol or dataset is unknown, or a method no plugin file could define it.
        """
        for protocol in self.protocols:
            protocol_info(protocol)
        for dataset in self.datasets:
            if dataset not in suite.dataset_names:
                raise unknown("dataset", dataset, suite.dataset_names)
        installed = method_names()
        for method in () if plugins else self.methods:
            if method not in (*installed, ALL, *GROUPS):
                raise unknown("method", method, (*installed, *GROUPS))
