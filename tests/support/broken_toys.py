"""A method that keeps the contract, and for every rule one that breaks it."""

import itertools
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from promptarena.benchmark.contract.kit import RULES, Finding
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe
from promptarena.benchmark.plugins.learner import About, CannotTransferError, Config, Learner

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
    """What it does after an epoch depends on a plain attribute."""

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
        with torch.no_grad():
            encoded = self.backbone.encode_text(self.backbone.prompts(prompts.filled()))
        return super().text_features(encoded)

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


def broken(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.rule: finding for finding in findings if finding.passed is False}
