"""The contract kit names the rule that a method breaks, and only that."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
import trials
from pydantic import Field
from torch import Tensor, nn

from promptarena.benchmark.contract import RULES, Finding, World, check, miniature
from promptarena.benchmark.method import About, CannotTransferError, Classes, Config, Learner
from promptarena.benchmark.recipe import Recipe
from promptarena.benchmark.registry import Method
from promptarena.benchmark.weights import weights_digest

ABOUT = About("Toy", "On Toys", "Nowhere", 2000, "https://example.org")
NAMES = [rule.name for rule in RULES]


class ToyConfig(Config):
    scale: float = Field(1.0, description="of the offset")


class Toy(Learner):
    """A drawn and trained offset of all class features, which keeps every rule."""

    about = ABOUT
    config_type: Any = ToyConfig
    config: Any

    def __init__(self, backbone: Any, config: Config, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        self.b = nn.Parameter(0.1 * torch.randn(backbone.embed_dim, generator=generator))

    @classmethod
    def preset(cls, task: Any) -> tuple[Config, Recipe]:
        return cls.config_type(), Recipe(epochs=3, batch_size=4, lr=0.01)

    def prompts(self, classes: Classes) -> Any:
        with torch.no_grad():
            return self.backbone.encode_texts(classes.filled())

    def text_features(self, prompts: Any) -> Tensor:
        return prompts + self.config.scale * self.b


class Nameless(Toy):
    """Its card has no address."""

    about = About("Toy", "On Toys", "Nowhere", 2000, "")


class Undocumented(Toy):
    about = ABOUT


class Undescribed(Toy):
    """A setting without a description."""

    class Settings(ToyConfig):
        depth: int = 1

    config_type = Settings


class OneShotLess(Toy):
    """Its table of epochs lacks a number of shots."""

    @classmethod
    def preset(cls, task: Any) -> tuple[Config, Recipe]:
        return ToyConfig(), Recipe(epochs={2: 3, 4: 3, 8: 3, 16: 3}[task.shots], batch_size=4, lr=0.01)


class NoisyAtFirst(Toy):
    """Until it is trained, its logits are drawn."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.register_buffer("ready", torch.zeros(()))

    def end_training(self, shots: Any) -> None:
        self.get_buffer("ready").fill_(1)

    def logits(self, images: Any, classifier: Any) -> Tensor:
        logits = super().logits(images, classifier)
        return logits if self.training or self.get_buffer("ready") else logits + 1e-5 * torch.randn_like(logits)


class TakesAName(Toy):
    """Its loss has the name of the record's own column."""

    def training_step(self, images: Any, labels: Tensor, prompts: Any) -> Any:
        logits, losses = super().training_step(images, labels, prompts)
        return logits, {"loss": losses["cross_entropy"]}


class LossPerImage(Toy):
    """Its loss is not reduced, which stops the training too."""

    def training_step(self, images: Any, labels: Tensor, prompts: Any) -> Any:
        logits, losses = super().training_step(images, labels, prompts)
        return logits, {"cross_entropy": losses["cross_entropy"].expand(len(labels))}


class Undeclared(Toy):
    """Gradients flow into a tensor that is no parameter."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.hidden = torch.zeros_like(self.b, requires_grad=True)

    def text_features(self, prompts: Any) -> Tensor:
        return super().text_features(prompts) + self.hidden


class Unused(Toy):
    """A parameter that nothing depends on."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.idle = nn.Parameter(torch.zeros(3))


class Climbs(Toy):
    """It maximises the loss."""

    def training_step(self, images: Any, labels: Tensor, prompts: Any) -> Any:
        logits, losses = super().training_step(images, labels, prompts)
        return logits, {"cross_entropy": -losses["cross_entropy"]}


class FitsNothing(Toy):
    """A closed form that forgets its result."""

    @classmethod
    def preset(cls, task: Any) -> tuple[Config, Recipe]:
        return ToyConfig(), Recipe(epochs=0, batch_size=4, lr=0)

    def fit(self, shots: Any) -> None:
        shots.train.features.mean(0)


class Counts(Toy):
    """Each learner starts a little further off than the one before."""

    made = itertools.count()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.b = nn.Parameter(self.b.detach() + 1e-3 * next(self.made))


class DrawsGlobally(Toy):
    """Its initial values come from the global generator."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.b = nn.Parameter(0.01 * torch.randn(len(self.b)))


class SaysUnseeded(Toy):
    """It is trained, but says that seeds do not matter."""

    seeded = False


class SaysSeeded(Toy):
    """It is not trained, but says that seeds matter."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.b = nn.Parameter(torch.zeros_like(self.b))

    preset = FitsNothing.preset


class CountsEpochs(Toy):
    """What it does behind an epoch depends on a plain attribute."""

    epochs = 0

    def end_epoch(self, epoch: int, recipe: Recipe) -> None:
        self.epochs += 1
        with torch.no_grad():
            self.b *= 1 + 0.01 * self.epochs


class Remembers(Toy):
    """What it found at the end is a plain attribute."""

    found = 0.0

    def end_training(self, shots: Any) -> None:
        self.found = 0.01

    def logits(self, images: Any, classifier: Any) -> Tensor:
        return super().logits(images, classifier) + self.found


class FixedNumber(Toy):
    """It can only score as many classes as it was trained on."""

    def __init__(self, backbone: Any, config: Any, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        self.register_buffer("bias", torch.zeros(len(classes)))

    def logits(self, images: Any, classifier: Any) -> Tensor:
        return super().logits(images, classifier) + self.get_buffer("bias")


class RefusesSilently(Toy):
    """It gives no reason why it cannot score other classes."""

    def __init__(self, backbone: Any, config: Any, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        self.number = len(classes)

    def prompts(self, classes: Classes) -> Any:
        if len(classes) != self.number:
            raise CannotTransferError
        return super().prompts(classes)


class PrefersTheLast(Toy):
    """A class's logit depends on its place."""

    def logits(self, images: Any, classifier: Any) -> Tensor:
        logits = super().logits(images, classifier)
        return logits + 0.1 * torch.arange(logits.shape[1])


class Centres(Toy):
    """It subtracts the batch's mean when scoring."""

    def logits(self, images: Any, classifier: Any) -> Tensor:
        logits = super().logits(images, classifier)
        return logits if self.training else logits - 0.01 * logits.mean(0)


class EncodesEachBatch(Toy):
    """It encodes the class names with every batch."""

    def prompts(self, classes: Classes) -> Any:
        return classes

    def text_features(self, prompts: Any) -> Tensor:
        return super().text_features(super().prompts(prompts))

    def classifier(self, prompts: Any) -> Any:
        return prompts

    def logits(self, images: Any, classifier: Any) -> Tensor:
        return super().logits(images, super().classifier(classifier))


class KeepsCount(Toy):
    """It counts the batches it has scored."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.register_buffer("scored", torch.zeros(()))

    def logits(self, images: Any, classifier: Any) -> Tensor:
        if not self.training:
            self.get_buffer("scored").add_(1)
        return super().logits(images, classifier)


class OneTypeOnly(Toy):
    """It writes half-precision rows into a float32 table."""

    def text_features(self, prompts: Any) -> Tensor:
        rows = torch.zeros(prompts.shape).index_add(0, torch.arange(len(prompts)), prompts)
        return super().text_features(rows)


class Rounds(Toy):
    """In bf16 its logits are far off."""

    def logits(self, images: Any, classifier: Any) -> Tensor:
        logits = super().logits(images, classifier)
        return 2 * logits if self.backbone.precision == "bf16" else logits


class SavesTheBackbone(Toy):
    """One of its buffers is the backbone's."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.register_buffer("positions", self.backbone.model.positional_embedding.detach())


class ChangesTheBackbone(Toy):
    """It changes a weight of the backbone."""

    def fit(self, shots: Any) -> None:
        with torch.no_grad():
            self.backbone.model.positional_embedding[-1].add_(1)


BROKEN: dict[type[Learner], set[str]] = {
    Toy: set(),
    Nameless: {"card"},
    Undocumented: {"card"},
    Undescribed: {"settings"},
    OneShotLess: {"presets"},
    NoisyAtFirst: {"start"},
    TakesAName: {"training-step"},
    LossPerImage: set(NAMES) - {"card", "settings", "presets", "start"},
    Undeclared: {"gradients"},
    Unused: {"gradients", "learning"},
    Climbs: {"learning"},
    FitsNothing: {"learning"},
    Counts: {"same-seed", "global-randomness", "resuming"},
    DrawsGlobally: {"global-randomness"},
    SaysUnseeded: {"another-seed"},
    SaysSeeded: {"another-seed"},
    CountsEpochs: {"resuming"},
    Remembers: {"saving"},
    FixedNumber: {"novel-classes"},
    RefusesSilently: {"novel-classes"},
    PrefersTheLast: {"class-order"},
    Centres: {"batch"},
    EncodesEachBatch: {"text-once"},
    KeepsCount: {"evaluation"},
    OneTypeOnly: {"mixed-precision"},
    Rounds: {"mixed-precision"},
    SavesTheBackbone: {"own-tensors"},
    ChangesTheBackbone: {"backbone"},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return trials.world(tmp_path_factory.mktemp("world"))


def broken(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.rule: finding for finding in findings if finding.passed is False}


@pytest.mark.parametrize("toy", BROKEN, ids=lambda toy: toy.__name__)
def test_the_broken_rule_is_named(toy: type[Learner], world: World) -> None:
    found = broken(check(toy, world))
    assert set(found) == BROKEN[toy], found
    assert all(finding.seen and finding.fix for finding in found.values())


def test_there_is_a_broken_toy_for_every_rule() -> None:
    assert set(NAMES) == set().union(*BROKEN.values())
    assert len(set(NAMES)) == len(NAMES)


def test_an_exception_of_the_method_is_told_in_a_line_and_the_other_rules_go_on(world: World) -> None:
    class Raises(Toy):
        """It cannot score."""

        def logits(self, images: Any, classifier: Any) -> Tensor:
            raise ValueError("no such layer\nnor another")

    findings = check(Raises, world)
    assert [finding.rule for finding in findings] == NAMES
    assert {finding.rule: finding.passed for finding in findings}["presets"]
    assert broken(findings)["start"].seen == "ValueError: no such layer"


def test_a_method_without_a_preset_breaks_every_rule(world: World) -> None:
    class Presetless(Toy):
        """It has no preset."""

        @classmethod
        def preset(cls, task: Any) -> tuple[Config, Recipe]:
            raise KeyError(task.shots)

    assert list(broken(check(Presetless, world))) == NAMES


def test_rules_that_do_not_concern_a_method_say_why(world: World) -> None:
    class Frozen(Toy):
        """Nothing is learned."""

        seeded = False
        preset = FitsNothing.preset

        def __init__(self, backbone: Any, config: Any, classes: Classes, generator: torch.Generator) -> None:
            Learner.__init__(self, backbone, config, classes, generator)

        def text_features(self, prompts: Any) -> Tensor:
            return prompts

    findings = {finding.rule: finding for finding in check(Frozen, world)}
    assert not broken(list(findings.values()))
    assert {name for name, finding in findings.items() if finding.passed is None} == {
        "training-step",
        "gradients",
        "learning",
    }
    assert findings["learning"].seen == "nothing is learned"


def test_classes_may_be_refused_with_a_reason(world: World) -> None:
    class Refuses(Toy):
        """It scores the classes it was trained on."""

        def __init__(self, backbone: Any, config: Any, classes: Classes, generator: torch.Generator) -> None:
            super().__init__(backbone, config, classes, generator)
            self.known = classes.names

        def prompts(self, classes: Classes) -> Any:
            if classes.names != self.known:
                raise CannotTransferError("these are others")
            return super().prompts(classes)

    findings = {finding.rule: finding for finding in check(Refuses, world)}
    assert (findings["novel-classes"].passed, findings["novel-classes"].seen) == (True, "refused: these are others")
    assert findings["class-order"].passed is None


def test_text_in_logits_is_allowed_when_declared(world: World) -> None:
    class Conditioned(EncodesEachBatch):
        """Its class features depend on the image."""

        image_conditioned = True

    assert not broken(check(Conditioned, world))


def test_a_method_of_the_registry_and_other_settings_can_be_checked(world: World) -> None:
    seen: list[float] = []

    class Tells(Toy):
        """It tells its settings."""

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            seen.append(self.config.scale)

    assert not broken(check(Method("tells", Tells, "", "", ""), world, config=ToyConfig(scale=0.5)))
    assert set(seen) == {0.5}


def test_chosen_rules_are_checked_alone(world: World) -> None:
    assert [finding.rule for finding in check(Toy, world, only=RULES[:2])] == NAMES[:2]


def test_a_check_leaves_the_world_and_the_global_generators_as_they_were(world: World) -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1], torch.get_num_threads()
    check(ChangesTheBackbone, world)
    assert weights_digest(world.backbone.model.state_dict()) == world.backbone.digest
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert torch.get_num_threads() == before[2]


def test_a_finding_reads_as_a_line() -> None:
    assert (
        str(Finding("batch", False, "logits differ", "no statistics")) == "batch: broken: logits differ: no statistics"
    )
    assert str(Finding("batch", True, "", "")) == "batch: ok"
    assert str(Finding("learning", None, "nothing is learned", "")) == "learning: does not apply: nothing is learned"


def test_the_miniature_has_other_novel_classes_in_another_number() -> None:
    world = miniature()
    task = world.task(1)
    assert not set(task.classes.names) & set(world.novel.names)
    assert len(task.classes) != len(world.novel)
    assert task.train.images.digest != world.task(2).train.images.digest
