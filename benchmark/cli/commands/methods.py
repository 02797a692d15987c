"""What `promptarena methods` does: list, show, check and create methods."""

import inspect
import shlex
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.text import Text

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.loading import backbone_of_shapes
from promptarena.benchmark.cli.commands import terminal
from promptarena.benchmark.contract.kit import RULES, Finding, check, miniature, one_line
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.protocol_table import DEFAULT_PROTOCOL, PROTOCOLS, Protocol
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.planning.suites import load_suite
from promptarena.benchmark.plugins.learner import Learner, assumed_settings
from promptarena.benchmark.plugins.registry import ALL, OURS, Method, Registry, load_registry
from promptarena.benchmark.plugins.scaffold import write_method

COUNTED = Classes(tuple(f"class {number}" for number in range(1, 101)), "a photo of a {}.")
"""The number of classes for which `methods list` counts parameters."""
STATES = {True: Text("ok", style="green"), False: Text("broken", style="red"), None: Text("–")}
LONGEST_REMARK = 60
ARXIV = "https://arxiv.org/abs/"


def print_methods(plugins: Sequence[Path], architecture: str | None = None) -> None:
    """Print a table of all methods, and why some are broken.

    Trainable parameters are counted on `architecture`, open_clip's name of a CLIP; None: the miniature's. Raises
    UserError for an unknown name.
    """
    registry, console = load_registry(plugins), terminal.console()
    backbone = backbone_of_shapes(architecture or load_suite("mini").backbone.given_architecture)
    table = terminal.table("method", "title", "venue", "paper", "parameters", "parity")
    for column in (0, 2, 3, 5):
        table.columns[column].no_wrap = True
    table.columns[4].justify = "right"
    name = architecture or "the miniature's CLIP"
    notes = [
        f"Parameters: trainable, on {name}, for {len(COUNTED)} classes.",
        f"Papers by number: {ARXIV}NUMBER. * with choices that paper and code leave open: methods show NAME.",
    ]
    for method in registry.methods.values():
        about = method.learner.about
        parameters, note = _trainable(method.learner, backbone)
        notes += [f"{method.name}: {note}"] if note else []
        notes += [] if method.distribution.startswith(f"{OURS} ") else [f"{method.name}: from {method.origin}"]
        venue, paper = f"{about.venue} {about.year}", about.url.removeprefix(ARXIV)
        terminal.add(table, method.name, about.title, venue, paper, parameters, _parity(method.learner))
    console.print(table, soft_wrap=False)
    for note in notes:
        console.print(note, soft_wrap=False)
    _print_broken(console, registry)


def _print_broken(console: Console, registry: Registry) -> None:
    for entry in registry.broken.values():
        console.print(f"broken: {entry.name} ({entry.origin}): {entry.reason}")


def _trainable(learner: type[Learner], backbone: Backbone) -> tuple[str, str]:
    """The number of trainable parameters as text, and the reason if it is not known."""
    try:
        config, recipe = learner.preset(TrainingTask(protocol=DEFAULT_PROTOCOL, shots=16, is_source=False))
        built = learner(backbone, config, COUNTED, torch.Generator().manual_seed(0))
    except UserError as error:
        return "–", str(error)
    except Exception as error:  # a plugin's method may raise anything
        return "–", one_line(error)
    count = sum(parameter.numel() for parameter in built.parameters())
    known_later = recipe.epochs > 0 and count == 0
    return ("–", "its parameters are known once it has seen images") if known_later else (f"{count:,}", "")


def _parity(learner: type[Learner]) -> str:
    assumes = learner.about.assumed or assumed_settings(learner.config_type)
    return learner.about.parity + ("*" if assumes else "")


def print_method(name: str, plugins: Sequence[Path]) -> None:
    """Print a method's docstring, settings, and recipe per protocol."""
    method = load_registry(plugins).get(name)
    about, learner, console = method.learner.about, method.learner, terminal.console()
    console.print(Text(about.title, style="bold"))
    console.print(f"{about.paper}\n{about.venue} {about.year}, {about.url}\nfrom {method.origin}")
    console.print(f"parity: {about.parity}")
    assumed = assumed_settings(learner.config_type)
    choices = [*about.assumed, *(f"{name}.{setting}" for setting in assumed)]
    console.print(f"assumed: {'; '.join(choices) or 'nothing'}")
    if learner.ablations:
        console.print(f"ablations: {', '.join(learner.ablations)}")
    console.print()
    console.print(inspect.cleandoc(learner.__doc__ or "") + "\n")
    settings = terminal.table("setting", "default", "meaning")
    for field_name, field in learner.config_type.model_fields.items():
        default = repr(field.default) + (" (assumed)" if field_name in assumed else "")
        terminal.add(settings, f"{name}.{field_name}", default, field.description or "")
    for field_name, field in Recipe.model_fields.items():
        default = "see below" if field.is_required() else repr(field.default)
        terminal.add(settings, f"{name}.recipe.{field_name}", default, field.description or "")
    console.print(settings, soft_wrap=False)
    console.print()
    recipes = terminal.table("protocol", "source dataset", "other datasets")
    for protocol, info in PROTOCOLS.items():
        other = "" if info.is_transfer else _preset(learner, protocol, is_source=False)
        terminal.add(recipes, protocol, _preset(learner, protocol, is_source=True), other)
    console.print(recipes, soft_wrap=False)


def _preset(learner: type[Learner], protocol: Protocol, *, is_source: bool) -> str:
    config, recipe = learner.preset(TrainingTask(protocol=protocol, shots=16, is_source=is_source))
    if not learner.seeded:
        return "no training"
    changed = recipe.model_dump(exclude_defaults=True) | config.model_dump(exclude_defaults=True)
    return ", ".join(f"{name} {value!r}" for name, value in changed.items())


def check_methods(given: Sequence[str], plugins: Sequence[Path]) -> int:
    """Check methods against the contract and print the findings. Returns the exit code: 0, or 1 if one breaks a rule.

    given: names of methods, files (`.py`) whose methods are checked, or `all`. Raises UserError for an unknown name or
    file.
    """
    files = [Path(name) for name in given if name.endswith(".py")]
    registry, console = load_registry(list(dict.fromkeys((*plugins, *files)))), terminal.console()
    methods = list(dict.fromkeys(method for name in given for method in _meant(name, registry)))
    world, failing = miniature(), []
    for method in methods:
        findings = check(method, world)
        broken = sum(finding.passed is False for finding in findings)
        failing += [method.name] if broken else []
        _print_findings(console, method.name, findings)
    if ALL in given:
        _print_broken(console, registry)
        failing += registry.broken
    kept = f"{len(methods)} method{'s' * (len(methods) > 1)} checked against {len(RULES)} rules"
    verdict = f"broken by {', '.join(failing)}" if failing else "all kept"
    console.print(f"{kept}: {verdict}.", soft_wrap=False)
    return 1 if failing else 0


def _meant(name: str, registry: Registry) -> Iterator[Method]:
    if name == ALL:
        yield from registry.methods.values()
    elif name.endswith(".py"):
        yield from (method for method in registry.methods.values() if method.origin == str(Path(name)))
    else:
        yield registry.get(name)


def _print_findings(console: Console, name: str, findings: Sequence[Finding]) -> None:
    table = terminal.table(name, "", "seen", "what to do")
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    for finding in findings:
        broken = finding.passed is False
        seen = finding.seen if broken else textwrap.shorten(finding.seen, LONGEST_REMARK, placeholder=" …")
        terminal.add(table, finding.rule, STATES[finding.passed], seen, finding.fix)
    console.print(table, soft_wrap=False)
    console.print()


def begin_method(name: str, folder: Path) -> None:
    """Write a new method's files and print what to type next."""
    written = write_method(name, folder, load_registry())
    plugin, test = shlex.quote(str(written.plugin)), shlex.quote(str(written.test))
    terminal.console().print(
        f"Wrote {written.plugin} and {written.test}. Next:\n\n"
        f"    promptarena methods check {plugin}\n"
        f"    python -m pytest {test}\n"
        f"    promptarena compare --plugin {plugin} --methods zeroshot {written.name} --seeds 1 --datasets digits "
        f"--protocols {DEFAULT_PROTOCOL}"
    )
