"""The kept cards of the built-in methods are those of the methods themselves."""

import json
from pathlib import Path

import pytest

from promptarena.benchmark.planning.contexts import Measure
from promptarena.benchmark.planning.suites import load_suite
from promptarena.benchmark.plugins import cards
from promptarena.benchmark.plugins.cards import built_in_cards, card_of, cards_file
from promptarena.benchmark.plugins.registry import load_registry

ARCHITECTURE = load_suite("mini").backbone.given_architecture


def test_the_kept_cards_are_those_of_the_sources() -> None:
    kept = built_in_cards()
    assert kept is not None, "a method changed: run python tools/method_cards.py"
    backbone = Measure(ARCHITECTURE)
    ours = {
        name: method for name, method in load_registry().methods.items() if method.origin.startswith("promptarena ")
    }
    assert list(kept) == list(ours)
    assert kept == {name: card_of(method, backbone) for name, method in ours.items()}


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"sources": "0", "cards": []}'])
def test_cards_of_other_sources_do_not_count(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cards.json"
    file.write_text(damage)
    monkeypatch.setattr(cards, "cards_file", lambda: file)
    assert built_in_cards() is None
    document = json.loads(cards_file().read_text())
    document["cards"][0]["title"] = 3
    file.write_text(json.dumps(document))
    assert built_in_cards() is None
