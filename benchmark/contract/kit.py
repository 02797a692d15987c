"""The contract kit: what the harness expects of every method, as named rules that any plugin can be checked against.

from promptarena.benchmark.contract.kit import check

assert not [finding for finding in check(MyLearner) if finding.passed is False]
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from promptarena.benchmark.contract import rules
from promptarena.benchmark.contract.places import place_of, traced
from promptarena.benchmark.contract.rules import BrokenError, NotApplicableError
from promptarena.benchmark.contract.world import Subject, World, miniature, one_thread, restored_process, shortened
from promptarena.benchmark.core.errors import one_line
from promptarena.benchmark.plugins.learner import Config, Learner
from promptarena.benchmark.plugins.registry import Method
from promptarena.benchmark.training.outputs import WrongOutputError

__all__ = ["RULES", "Finding", "Rule", "Subject", "World", "check", "examine", "miniature", "shortened"]


@dataclass(frozen=True)
class Finding:
    """The result of one rule for a method.

    passed: None if the rule does not apply to the method. seen: what was measured or is wrong; of an exception also the
    place in the method's own code. fix: what to do if the rule is broken. trace: the traceback of an exception.
    """

    rule: str
    passed: bool | None
    seen: str
    fix: str
    trace: str = ""

    def __str__(self) -> str:
        state = {True: "ok", False: "broken", None: "does not apply"}[self.passed]
        return ": ".join(filter(None, (self.rule, state, self.seen, self.fix if self.passed is False else "")))


@dataclass(frozen=True)
class Rule:
    """A rule for every method: name, meaning in a line, what to do if it is broken, and the function that tests it."""

    name: str
    meaning: str
    fix: str
    verify: Callable[[Subject], str]

    def look(self, subject: Subject) -> Finding:
        """Try the rule on a method. Any exception that the method raises breaks the rule."""
        try:
            return Finding(self.name, True, self.verify(subject), "")
        except NotApplicableError as reason:
            return Finding(self.name, None, str(reason), "")
        except (BrokenError, WrongOutputError) as broken:
            return Finding(self.name, False, str(broken), self.fix)
        except (Exception, SystemExit) as error:  # a plugin's method may raise anything
            return _raised(self.name, error, subject.type, "the method raised this; --debug shows the traceback")


RULES: tuple[Rule, ...] = (
    Rule(
        "card",
        "the method says what it is",
        "fill in every field of About and give the class a docstring with citation and equations",
        rules.card,
    ),
    Rule(
        "settings",
        "every setting is described and survives JSON",
        "declare fields as Field(default, description=...) with types that JSON can hold",
        rules.settings,
    ),
    Rule(
        "presets",
        "there is a configuration and a recipe for every protocol and number of shots",
        "let preset(task) return (config_type(...), Recipe(...)) for every task",
        rules.presets,
    ),
    Rule(
        "start",
        "before training, logits are finite, (B, C), and the same twice",
        "check shapes and divisions by zero in prompts, text_features, image_features, logits",
        rules.start,
    ),
    Rule(
        "training-step",
        "training_step gives logits (B, C) and finite scalar losses",
        "reduce every loss to a scalar, and give it a name other than epoch, loss, lr, train_accuracy",
        rules.training_step,
    ),
    Rule(
        "gradients",
        "gradients reach every parameter of the learner and nothing else",
        "wrap what is learned in nn.Parameter, keep constants as buffers, encode frozen parts under torch.no_grad()",
        rules.gradients,
    ),
    Rule(
        "learning",
        "two epochs lower the training images' cross-entropy; a closed form changes the logits",
        "check the sign of the losses, the learning rate, and that training_step and logits use the same parameters",
        rules.learning,
    ),
    Rule(
        "same-seed",
        "the same seed gives the same tensors and logits",
        "draw from the generator given to __init__ and from nothing else; keep no state between learners",
        rules.same_seed,
    ),
    Rule(
        "global-randomness",
        "global random generators do not matter",
        "pass generator=generator to every draw; nn.Linear and similar modules draw from the global generator: use "
        "edits.drawn_linear",
        rules.global_randomness,
    ),
    Rule(
        "another-seed",
        "another seed gives other numbers exactly when the method is `seeded`",
        "set `seeded = False` only for a method that neither trains, draws, nor looks at the shots",
        rules.another_seed,
    ),
    Rule(
        "resuming",
        "a training that is interrupted after an epoch and resumed ends as if it had not been interrupted",
        "keep everything that training changes in parameters or buffers; plain attributes are lost",
        rules.resuming,
    ),
    Rule(
        "saving",
        "a new learner with the saved tensors gives the same logits",
        "keep what scoring needs in parameters or buffers, not in attributes",
        rules.saving,
    ),
    Rule(
        "novel-classes",
        "classes of another number are scored, or refused with a reason",
        "keep the number of trained classes out of prompts and logits, or raise CannotTransferError in prompts",
        rules.novel_classes,
    ),
    Rule(
        "class-order",
        "permuting the class names permutes the logits",
        "let nothing depend on a class's place among the names",
        rules.class_order,
    ),
    Rule(
        "batch",
        "an image's logits do not depend on its batch",
        "use no statistics over the images of a batch when scoring",
        rules.batch,
    ),
    Rule(
        "text-once",
        "class features are computed once per evaluation",
        "encode text in classifier, not in logits; a method that has to encode text in logits declares "
        "image_conditioned = True",
        rules.text_once,
    ),
    Rule(
        "evaluation",
        "scoring changes nothing",
        "write to no parameter or buffer while scoring, and draw nothing",
        rules.evaluation,
    ),
    Rule(
        "mixed-precision",
        "in bf16 and fp16 a training step works and logits differ by 5 % of the largest at most, on average",
        "cast where types meet (x.to(y.dtype)) and compute losses on logits.float()",
        rules.mixed_precision,
    ),
    Rule(
        "own-tensors",
        "no tensor of the backbone is among the learner's",
        "clone frozen values before making a parameter or buffer of them; never assign backbone modules to the learner",
        rules.own_tensors,
    ),
    Rule(
        "backbone",
        "training and scoring leave the backbone, torch's flags and the harness's functions as they were",
        "never write to self.backbone.model, leave hooks in it, or switch its gradients or training mode; set flags of "
        "torch in a `with` block only",
        rules.backbone,
    ),
)


def check(
    method: Method | type[Learner],
    world: World | None = None,
    *,
    config: Config | None = None,
    only: Sequence[Rule] = RULES,
) -> list[Finding]:
    """A finding for each rule, in their order.

    world: what the method is tried on, `miniature()` unless given. config: its settings, else those of its preset for
    base-to-novel with 16 shots. An exception of the method is never raised here: it counts as a broken rule.
    """
    learner = method.learner if isinstance(method, Method) else method
    return examine(learner, world or miniature(), config, only)


def examine(learner: type[Learner], world: World, config: Config | None, only: Sequence[Rule]) -> list[Finding]:
    """The findings of `check`. If the preset cannot be built, every rule is broken by the same error."""
    with one_thread(), restored_process():
        try:
            subject = Subject(learner, world, config)
        except (Exception, SystemExit) as error:  # a plugin's preset may raise anything
            fix = "preset(task) raised this; --debug shows the traceback"
            return _said_once([_raised(rule.name, error, learner, fix) for rule in only])
        return _said_once([rule.look(subject) for rule in only])


def _raised(rule: str, error: BaseException, learner: type[Learner], fix: str) -> Finding:
    place = place_of(error, learner)
    return Finding(rule, False, f"{one_line(error)}{f' ({place})' if place else ''}", fix, traced(error))


def _said_once(findings: Sequence[Finding]) -> list[Finding]:
    """The findings; what several broken rules have in common is said at the first of them."""
    first: dict[str, str] = {}
    said = []
    for finding in findings:
        rule = first.setdefault(finding.seen, finding.rule) if finding.passed is False else finding.rule
        again = rule != finding.rule
        said.append(Finding(finding.rule, False, f"as {rule}", f"mend {rule} first") if again else finding)
    return said
