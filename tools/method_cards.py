"""Makes methods/cards.json again: what `promptarena methods list` and `methods show` say of the built-in methods.

    python tools/method_cards.py

Run it after any change of a file in methods/. A test fails when the file is not that of the sources.
"""

from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.planning.contexts import Measure
from promptarena.benchmark.planning.suites import load_suite
from promptarena.benchmark.plugins.cards import OURS, MethodCard, card_of, cards_file, cards_text
from promptarena.benchmark.plugins.registry import load_registry


def cards() -> list[MethodCard]:
    """The cards of the built-in methods, from the oldest to the newest."""
    backbone = Measure(load_suite("mini").backbone.given_architecture)
    methods = load_registry().methods.values()
    return [card_of(method, backbone) for method in methods if method.distribution.startswith(f"{OURS} ")]


def main() -> None:
    """Write the file."""
    write_atomically(cards_file(), cards_text(cards()))


if __name__ == "__main__":
    main()
