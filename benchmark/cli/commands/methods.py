"""What `promptarena methods` does: list, show, check and create methods."""

import shlex
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rich.console import Console
from rich.text import Text

from promptarena.benchmark.cli.commands import terminal
from promptarena.benchmark.core.errors import unknown
from promptarena.benchmark.core.protocol_table import DEFAULT_PROTOCOL
from promptarena.benchmark.planning.listed_methods import listed_methods
from promptarena.benchmark.plugins.cards import ALL, COUNTED_CLASSES, OURS, method_names
from promptarena.benchmark.plugins.families import FIELD_12, GROUPS, by_family, expanded
from promptarena.benchmark.plugins.scaffold import write_method

if TYPE_CHECKING:
    from rich.table import Table

    from promptarena.benchmark.contract.kit import Finding
    from promptarena.benchmark.plugins.cards import MethodCard
    from promptarena.benchmark.plugins.registry import Broken, Method, Registry

STATES = {True: Text("ok", style="green"), False: Text("broken", style="red"), None: Text("–")}
LONGEST_REMARK = 60
ARXIV = "https://arxiv.org/abs/"


def print_methods(plugins: Sequence[Path], architecture: str | None = None) -> None:
    """Print a table of all methods, and why some are broken.

    Args:
        plugins: Files with further methods.
        architecture: open_clip's name of the CLIP on which trainable parameters are counted; None: the miniature's.

    Raises:
        UserError: The name is unknown, or a file cannot be used.
    """
    cards, broken = listed_methods(plugins, architecture)
    console = terminal.console()
    table = terminal.table("method", "title", "venue", "paper", "parameters", "parity")
    for column in (0, 3, 4, 5):
        table.columns[column].no_wrap = True
    table.columns[4].justify = "right"
    name = architecture or "the miniature's CLIP"
    notes = [
        f"Parameters: trainable, on {name}, for {COUNTED_CLASSES} classes.",
        f"Papers by number: {ARXIV}NUMBER. * with choices that paper and code leave open: methods show NAME.",
        f"--methods takes the families above as names, and {FIELD_12}, the twelve most compared methods.",
    ]
    by_name = {card.name: card for card in cards.values()}
    for family, names in by_family(by_name).items():
        terminal.add(table, Text(f"{family}:", style="bold"), *[""] * 5)
        for card in map(by_name.__getitem__, names):
            notes += _add_card(table, card)
    console.print(table, soft_wrap=False)
    for note in notes:
        console.print(note, soft_wrap=False)
    _print_broken(console, broken)


def _add_card(table: "Table", card: "MethodCard") -> list[str]:
    """Add the row of a method. Returns what there is to say below the table."""
    count = "–" if card.parameters is None else f"{card.parameters:,}"
    terminal.add(
        table,
        card.name,
        card.title,
        f"{card.venue} {card.year}",
        _paper(card.url),
        count,
        card.parity + "*" * bool(card.assumed),
    )
    remarks = [f"{card.name}: {card.remark}"] if card.remark else []
    return remarks if card.origin.startswith(f"{OURS} ") else [*remarks, f"{card.name}: from {card.origin}"]


def _paper(url: str) -> str:
    """The number on arXiv, or the site: whole addresses would leave no room for the other columns."""
    if url.startswith(ARXIV):
        return url.removeprefix(ARXIV)
    return ".".join((urlsplit(url).hostname or "–").split(".")[-2:])


def _print_broken(console: Console, broken: "Iterable[Broken]") -> None:
    for entry in broken:
        console.print(f"broken: {entry.name} ({entry.origin}): {entry.reason}")


def print_words(run: str, top: int, suite: str, results: Path, tracking_uri: str | None) -> None:
    """Print the words that are closest to each learned context vector; see `nearest_words`."""
    from promptarena.inspecting import nearest_words

    found = nearest_words(run, top=top, suite=suite, results=results, tracking_uri=tracking_uri)
    table = terminal.table("tensor", "vector", "length", "nearest words (distance)")
    for (tensor, vector), words in found.groupby(["tensor", "vector"], sort=False):
        near = ", ".join(f"{row.word} ({row.distance:.3f})" for row in words.itertuples())
        terminal.add(table, str(tensor), str(vector), f"{words['length'].iloc[0]:.3f}", near)
    terminal.console().print(table, soft_wrap=False)


def print_method(name: str, plugins: Sequence[Path]) -> None:
    """Print a method's docstring, settings, and recipe per protocol.

    Args:
        name: The method's name.
        plugins: Files with further methods.

    Raises:
        UserError: The name is unknown, the plugin is broken, or a file cannot be used.
    """
    cards, broken = listed_methods(plugins)
    if name not in cards:
        raise next((entry.error() for entry in broken if entry.name == name), unknown("method", name, cards))
    card, console = cards[name], terminal.console()
    console.print(Text(card.title, style="bold"))
    console.print(f"{card.paper}\n{card.venue} {card.year}, {card.url}\nfrom {card.origin}")
    console.print(f"parity: {card.parity}")
    console.print(f"assumed: {'; '.join(card.assumed) or 'nothing'}")
    if card.ablations:
        console.print(f"ablations: {', '.join(card.ablations)}")
    console.print()
    console.print(card.description + "\n")
    settings = terminal.table("setting", "default", "meaning")
    for setting in card.settings:
        terminal.add(settings, setting.name, setting.default, setting.meaning)
    console.print(settings, soft_wrap=False)
    console.print()
    recipes = terminal.table("protocol", "source dataset", "other datasets")
    for protocol, (on_source, on_others) in card.recipes.items():
        terminal.add(recipes, protocol, on_source, on_others)
    console.print(recipes, soft_wrap=False)


def check_methods(given: Sequence[str], plugins: Sequence[Path], *, debug: bool = False) -> int:
    """Check methods against the contract and print the findings. Returns the exit code: 0, or 1 if one breaks a rule.

    given: names of methods, files (`.py`) whose methods are checked, or `all`. debug: also print the traceback of each
    exception. Raises UserError for an unknown name or file.
    """
    files = [Path(name) for name in given if name.endswith(".py")]
    from promptarena.benchmark.contract.kit import RULES, check, miniature
    from promptarena.benchmark.plugins.registry import load_registry

    registry, console = load_registry(list(dict.fromkeys((*plugins, *files)))), terminal.console()
    methods = list(dict.fromkeys(method for name in given for method in _meant(name, registry)))
    world, failing = miniature(), []
    for method in methods:
        findings = check(method, world)
        broken = sum(finding.passed is False for finding in findings)
        failing += [method.name] if broken else []
        _print_findings(console, method.name, findings)
        for finding in findings if debug else ():
            if finding.trace:
                console.print(f"{finding.rule}: {finding.trace}", soft_wrap=True)
    if ALL in given:
        _print_broken(console, registry.broken.values())
        failing += registry.broken
    kept = f"{len(methods)} method{'s' * (len(methods) > 1)} checked against {len(RULES)} rules"
    verdict = f"broken by {', '.join(failing)}" if failing else "all kept"
    console.print(f"{kept}: {verdict}.", soft_wrap=False)
    return 1 if failing else 0


def _meant(name: str, registry: "Registry") -> "Iterator[Method]":
    if name == ALL:
        yield from registry.methods.values()
    elif name in GROUPS:
        yield from map(registry.get, expanded([name], registry.methods))
    elif name.endswith(".py"):
        yield from (method for method in registry.methods.values() if method.origin == str(Path(name)))
    else:
        yield registry.get(name)


def _print_findings(console: Console, name: str, findings: "Sequence[Finding]") -> None:
    table = terminal.table(name, "", "seen", "what to do")
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    for finding in findings:
        broken = finding.passed is False
        seen = finding.seen if broken else textwrap.shorten(finding.seen, LONGEST_REMARK, placeholder=" …")
        terminal.add(table, finding.rule, STATES[finding.passed], seen, finding.fix)
    console.print(table, soft_wrap=False)
    console.print()


def begin_method(name: str, folder: Path, *, vision: bool = False) -> None:
    """Write a new method's files and print what to type next."""
    written = write_method(name, folder, method_names(), vision=vision)
    plugin, test = shlex.quote(str(written.plugin)), shlex.quote(str(written.test))
    terminal.console().print(
        f"Wrote {written.plugin} and {written.test}. Next:\n\n"
        f"    promptarena methods check {plugin}\n"
        f"    python -m pytest {test}\n"
        f"    promptarena compare --plugin {plugin} --methods zeroshot {written.name} --seeds 1 --datasets digits "
        f"--protocols {DEFAULT_PROTOCOL}"
    )
