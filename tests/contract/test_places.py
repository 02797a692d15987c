"""An exception of a method is said once, with the line of the method's own code."""

from pathlib import Path
from typing import Any

import torch
from broken_toys import Toy, broken
from torch import Tensor

from promptarena.benchmark.contract.kit import RULES, Finding, World, check
from promptarena.benchmark.plugins.learner import Learner

FEW = tuple(rule for rule in RULES if rule.name in ("presets", "start", "training-step", "gradients", "batch"))


class Raises(Toy):
    """It cannot score."""

    def logits(self, images: Any, classifier: Any) -> Tensor:
        raise ValueError("no such layer")  # this line is named


def found(learner: type[Learner], world: World) -> dict[str, Finding]:
    return broken(check(learner, world, only=FEW))


def test_an_exception_is_said_once_with_the_line_that_raised_it(world: World) -> None:
    findings = found(Raises, world)
    line = next(
        number
        for number, text in enumerate(Path(__file__).read_text().splitlines(), start=1)
        if text.endswith("# this line is named")
    )
    expected = f"ValueError: no such layer (test_places.py, line {line}, in logits)"
    assert [finding.seen for finding in findings.values()] == [expected, *["as start"] * 3]
    assert "this line is named" in findings["start"].trace
    assert not any(finding.trace for name, finding in findings.items() if name != "start")


def test_an_edit_at_a_block_that_does_not_exist_is_refused(world: World) -> None:
    class Deep(Toy):
        """It edits a block that no CLIP has."""

        def image_features(self, images: Any) -> Tensor:
            return self.backbone.image_features_from(images.tokens_at(0), edits={99: lambda tokens: tokens * 2})

    seen = found(Deep, world)["start"].seen
    assert seen.startswith("UserError: edits at block 99: this encoder has the blocks 0 to ")
    assert "in image_features" in seen


def test_an_edit_after_the_last_block_is_allowed(world: World) -> None:
    class After(Toy):
        """It scales what the last block returns."""

        def image_features(self, images: Any) -> Tensor:
            after = self.backbone.vision.depth
            return self.backbone.image_features_from(images.tokens_at(0), edits={after: torch.nn.Identity()})

    assert not found(After, world)
