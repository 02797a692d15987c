"""The rules of the contract, one function each: it returns what it saw, or raises BrokenError or NotApplicableError.

Anything else that a rule raises comes from the tested method, and breaks the rule too.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace

import torch
from safetensors.torch import load, save
from torch import Tensor

from promptarena.benchmark.backbone.accelerations import Precision
from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.loading import weights_digest
from promptarena.benchmark.contract.world import Subject, leaves, same
from promptarena.benchmark.core.protocol_table import PROTOCOLS
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.asking import MethodFailedError
from promptarena.benchmark.plugins.learner import About, CannotTransferError, Images, Learner
from promptarena.benchmark.training import outputs

CLOSE = 1e-4
"""Largest difference of logits that counts as rounding, as a share of the largest logit."""
REDUCED: tuple[Precision, ...] = ("bf16", "fp16")
CLOSE_IF_REDUCED = 0.05
"""Largest mean difference between reduced and float32 logits, as a share of the largest logit."""
TINY = 1e-12
SHOTS = (1, 2, 4, 8, 16)


class BrokenError(Exception):
    """A rule is broken; the message says what was observed."""


class NotApplicableError(Exception):
    """A rule does not apply to this method; the message says why."""


def require(kept: bool, seen: str) -> None:
    """Raise BrokenError unless `kept`."""
    if not kept:
        raise BrokenError(seen)


def card(subject: Subject) -> str:
    """`about` is filled in, and the class has its own docstring."""
    about = subject.type.about
    empty = [field.name for field in fields(About) if getattr(about, field.name) == ""]
    require(not empty, f"about.{', about.'.join(empty)} is empty")
    require(bool(vars(subject.type).get("__doc__")), f"{subject.type.__name__} has no docstring")
    return ""


def settings(subject: Subject) -> str:
    """Settings are described and survive JSON."""
    nameless = [name for name, field in subject.type.config_type.model_fields.items() if not field.description]
    require(not nameless, f"no description: {', '.join(nameless)}")
    restored = type(subject.config).model_validate_json(subject.config.model_dump_json())
    require(restored == subject.config, f"JSON gives back {restored!r}")
    return ""


def presets(subject: Subject) -> str:
    """A configuration and a recipe for every protocol and number of shots."""
    if subject.type.preset.__func__ is Learner.preset.__func__ and not _closed_form(subject):  # type: ignore[attr-defined]
        own = sum(parameter.numel() for parameter in subject.build().parameters() if parameter.requires_grad)
        require(not own, f"there is no preset, so the {own} parameters are never trained: its recipe has 0 epochs")
    for protocol in dict.fromkeys(info.training for info in PROTOCOLS.values()):
        for shots in SHOTS:
            for is_source in (False, True):
                config, recipe = subject.type.preset(
                    TrainingTask(protocol=protocol, shots=shots, is_source=is_source, dataset="")
                )
                where = f"{protocol}, {shots} shots: "
                require(type(config) is subject.type.config_type, where + f"a {type(config).__name__} as configuration")
                require(isinstance(recipe, Recipe), where + f"a {type(recipe).__name__} as recipe")
                require(type(config).model_validate_json(config.model_dump_json()) == config, where + "not JSON")
    return ""


def start(subject: Subject) -> str:
    """Before training, logits are finite, (B, C) and the same twice."""
    learner = subject.build()
    first, second = subject.logits(learner), subject.logits(learner)
    _require_scores(first, len(subject.test_images(learner)), len(subject.classes))
    require(torch.equal(first, second), f"two calls differ by {_gap(first, second):.2g}")
    with _required():
        for name, logits in subject.readings(learner).items():
            if name != "":
                outputs.check_name("reading", name)
            outputs.check_logits(logits, tuple(first.shape))
            outputs.check_finite("logits", logits)
    return ""


@contextmanager
def _required() -> Iterator[None]:
    """Turn what a comparison would refuse into a broken rule."""
    try:
        yield
    except (outputs.WrongOutputError, MethodFailedError, outputs.NotFiniteError) as error:
        raise BrokenError(str(error)) from error


def _require_scores(logits: Tensor, images: int, classes: int) -> None:
    require(logits.shape == (images, classes), f"logits of shape {tuple(logits.shape)}, not ({images}, {classes})")
    require(bool(logits.isfinite().all()), "logits that are not finite")


def _gap(one: Tensor, other: Tensor) -> float:
    """The largest difference as a share of the largest entry."""
    return float((one - other).abs().max() / one.abs().max().clamp_min(TINY))


def training_step(subject: Subject) -> str:
    """`training_step` gives logits (B, C) and named, finite, scalar losses."""
    _require_trained_by_gradient(subject)
    learner, (images, labels) = subject.build(), subject.batch()
    logits, losses = _step(subject, learner, images, labels)
    _require_scores(logits, len(labels), len(subject.classes))
    for name, loss in losses.items():
        require(name not in outputs.RESERVED, f"the loss name {name!r}, which the record uses itself")
        require(bool(loss.isfinite()), f"loss {name!r} is {loss.item()}")
    return ", ".join(f"{name} {loss.item():.3g}" for name, loss in losses.items())


def _step(subject: Subject, learner: Learner, images: Images, labels: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
    """What a training step returns; it has the form that a comparison accepts."""
    returned = learner.training_step(images, labels, learner.training_prompts(subject.classes))
    with _required():
        logits, losses = outputs.unpacked(returned)
        outputs.check_logits(logits, (len(labels), len(subject.classes)))
        outputs.check_losses(losses)
    return logits, losses


def _require_trained_by_gradient(subject: Subject) -> None:
    if subject.recipe.epochs == 0:
        raise NotApplicableError("nothing is trained by gradient")


def gradients(subject: Subject) -> str:
    """Gradients reach every parameter of the learner, and nothing else."""
    _require_trained_by_gradient(subject)
    learner, (images, labels) = subject.trained().learner, subject.batch()
    own = dict(learner.named_parameters())
    require(bool(own), "no parameters")
    frozen = [name for name, parameter in own.items() if not parameter.requires_grad]
    require(not frozen, f"parameters that need no gradient: {', '.join(frozen)}")
    learner.zero_grad()
    declared = {id(parameter) for parameter in own.values()}
    for stage in range(max(1, len(subject.recipe.iterations))):
        learner.begin_stage(stage)
        _, losses = _step(subject, learner, images, labels)
        foreign = [tuple(leaf.shape) for loss in losses.values() for leaf in leaves(loss) if id(leaf) not in declared]
        require(not foreign, f"gradients flow to undeclared tensors of shape {', '.join(map(str, foreign))}")
        learner.backward(losses)
    unmoved = [name for name, parameter in own.items() if parameter.grad is None or not parameter.grad.any()]
    learner.zero_grad()
    require(not unmoved, f"no gradient: {', '.join(unmoved)}")
    return f"{sum(parameter.numel() for parameter in own.values())} parameters"


def _closed_form(subject: Subject) -> bool:
    return any(getattr(subject.type, hook) is not getattr(Learner, hook) for hook in ("fit", "end_training"))


def learning(subject: Subject) -> str:
    """Two epochs lower the cross-entropy of the training images; a closed form changes the logits."""
    before, trained = subject.build(), subject.trained()
    if subject.recipe.epochs == 0:
        if not _closed_form(subject):
            raise NotApplicableError("nothing is learned")
        require(not torch.equal(subject.logits(before), trained.logits), "fit leaves the logits as they were")
        return ""
    initial = before.state_dict()
    still = [name for name, _ in before.named_parameters() if torch.equal(initial[name], trained.state[name])]
    require(not still, f"training does not move {', '.join(still)}")
    first, last = subject.cross_entropy(before), subject.cross_entropy(trained.learner)
    require(last < first, f"cross-entropy {first:.4f} before, {last:.4f} after {subject.recipe.epochs} epochs")
    return f"cross-entropy {first:.3f} -> {last:.3f}"


def same_seed(subject: Subject) -> str:
    """The same seed gives the same tensors and logits, to the last bit."""
    require(subject.train_anew().same_as(subject.trained()), "two trainings with one seed differ")
    return ""


def global_randomness(subject: Subject) -> str:
    """The global random generators do not matter."""
    require(subject.trained(ambient=2).same_as(subject.trained()), "torch.manual_seed and its like change the outcome")
    return ""


def another_seed(subject: Subject) -> str:
    """Another seed gives other numbers exactly when the method says `seeded`."""
    same = subject.trained(seed=2).same_as(subject.trained())
    if subject.type.seeded:
        require(not same, "`seeded` is true, but two seeds give the same tensors and logits")
    else:
        require(same, "`seeded` is false, but two seeds differ")
    return ""


def resuming(subject: Subject) -> str:
    """A training that is interrupted after its first epoch and resumed ends like one that was not interrupted."""
    resumed = subject.train_anew(stop_after=1 if subject.recipe.epochs else 0)
    differing = [
        name for name, tensor in resumed.state.items() if not torch.equal(tensor, subject.trained().state[name])
    ]
    require(not differing, f"resumed, these tensors differ: {', '.join(differing)}")
    require(torch.equal(resumed.logits, subject.trained().logits), "equal tensors, but other logits")
    return ""


def saving(subject: Subject) -> str:
    """A new learner that loads the saved tensors gives the same logits."""
    trained, other = subject.trained(), subject.build(seed=9)
    other.load_state_dict(load(save({name: tensor.contiguous() for name, tensor in trained.state.items()})))
    loaded = subject.logits(other)
    require(torch.equal(loaded, trained.logits), f"logits differ by {_gap(trained.logits, loaded):.2g}")
    return ""


def novel_classes(subject: Subject) -> str:
    """Classes of another number are scored, or refused with a reason."""
    novel, learner = subject.world.novel, subject.trained().learner
    try:
        logits = subject.logits(learner, novel)
    except CannotTransferError as error:
        require(bool(str(error)), "CannotTransferError without a reason")
        return f"refused: {error}"
    _require_scores(logits, len(subject.test_images(learner)), len(novel))
    return ""


def class_order(subject: Subject) -> str:
    """Permuting the class names permutes the logits."""
    order = [*range(1, len(subject.classes)), 0]
    permuted = replace(subject.classes, names=tuple(subject.classes.names[label] for label in order))
    try:
        found = subject.logits(subject.trained().learner, permuted)
    except CannotTransferError as error:
        raise NotApplicableError(f"refused: {error}") from error
    gap = _gap(subject.trained().logits[:, order], found)
    require(gap <= CLOSE, f"logits differ by {gap:.2g}")
    return ""


def batch(subject: Subject) -> str:
    """An image's logits do not depend on the other images of its batch."""
    trained, count = subject.trained(), len(subject.world.test.labels)
    alone = torch.cat([subject.logits(trained.learner, rows=[row]) for row in range(count)])
    turned = subject.logits(trained.learner, rows=list(reversed(range(count)))).flip(0)
    for how, found in (("one by one", alone), ("in reverse order", turned)):
        gap = _gap(trained.logits, found)
        require(gap <= CLOSE, f"scored {how}, logits differ by {gap:.2g}")
    return ""


def text_once(subject: Subject) -> str:
    """`logits` encodes no text: class features are computed once per evaluation, unless `image_conditioned`."""
    if subject.type.image_conditioned:
        raise NotApplicableError("image_conditioned")
    learner = subject.trained().learner
    with torch.inference_mode():
        classifier = learner.classifier(learner.prompts(subject.classes))
        with _text_runs(learner) as blocks:
            learner.logits(subject.test_images(learner), classifier)
    require(not blocks, f"a batch ran {len(blocks)} blocks of the text tower")
    return ""


@contextmanager
def _text_runs(learner: Learner) -> Iterator[list[object]]:
    """Collects the blocks that the learner's backbones, including its own copies, run in their text towers."""
    ran: list[object] = []
    backbones = [value for value in vars(learner).values() if isinstance(value, Backbone)]
    norms = {block.get_submodule("ln_1") for backbone in backbones for block in backbone.text.blocks}
    handles = [norm.register_forward_pre_hook(lambda module, _: ran.append(module)) for norm in norms]
    try:
        yield ran
    finally:
        for handle in handles:
            handle.remove()


def evaluation(subject: Subject) -> str:
    """Scoring changes nothing: the same logits again, and the same tensors."""
    learner = subject.trained().learner
    before = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    first, second = subject.logits(learner), subject.logits(learner)
    require(torch.equal(first, second), f"scored again, logits differ by {_gap(first, second):.2g}")
    require(same(before, learner.state_dict()), "scoring changes the learner's tensors")
    return ""


def mixed_precision(subject: Subject) -> str:
    """In bf16 and fp16 a training step works, and logits differ from float32's by 5 % of the largest at most, on
    average."""
    return ", ".join(f"{precision} {_reduced(subject, precision):.1%}" for precision in REDUCED)


def _reduced(subject: Subject, precision: Precision) -> float:
    """The mean difference of the logits in this precision, as a share of the largest one."""
    backbone = subject.backbone_in(precision)
    learner = subject.build(backbone=backbone)
    learner.load_state_dict(subject.trained().state)
    if subject.recipe.epochs:
        images, labels = subject.batch(backbone)
        with backbone.autocast():
            _, losses = _step(subject, learner, images, labels)
        learner.backward(losses)
        require(all(loss.isfinite() for loss in losses.values()), f"in {precision}, losses that are not finite")
    exact, found = subject.trained().logits, subject.logits(learner)
    gap = float((found - exact).abs().mean() / exact.abs().max().clamp_min(TINY))
    require(gap <= CLOSE_IF_REDUCED, f"in {precision}, logits differ by {gap:.1%} of the largest on average")
    return gap


def backbone(subject: Subject) -> str:
    """Training and scoring leave the backbone as it was, to the last bit, and frozen, and with it all that methods
    share."""
    subject.logits(subject.trained().learner)
    model = subject.backbone.model
    require(weights_digest(model.state_dict()) == subject.world.backbone.digest, "its weights have changed")
    require(not model.training, "it was set to training mode")
    moved = [name for name, weight in model.named_parameters() if weight.requires_grad or weight.grad is not None]
    require(not moved, f"gradients are on for {', '.join(moved)}")
    changed = subject.seal.changes()
    require(not changed, f"it changed {changed}")
    return ""


def own_tensors(subject: Subject) -> str:
    """No tensor of the backbone is among the learner's, which are saved and trained."""
    learner = subject.trained().learner
    shared = {weight.untyped_storage().data_ptr() for weight in subject.backbone.model.state_dict().values()}
    tensors = {**dict(learner.named_parameters()), **learner.state_dict()}
    taken = [name for name, tensor in tensors.items() if tensor.untyped_storage().data_ptr() in shared]
    require(not taken, f"the backbone's: {', '.join(taken)}")
    return ""
