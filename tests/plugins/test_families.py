"""Families of methods: each built-in method is in one, and their names are names of no method."""

from pathlib import Path

import pytest
from e2e_inside import call, complaint

from promptarena.benchmark.planning.enumeration import enumerate_request
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.plugins.families import FAMILIES, FIELD_12, GROUPS, OTHER, by_family, expanded, family_of
from promptarena.benchmark.plugins.registry import load_registry

BUILT_IN = load_registry(()).methods


def test_every_built_in_method_is_in_one_family() -> None:
    members = [method for methods in FAMILIES.values() for method in methods]
    assert sorted(members) == sorted(BUILT_IN)
    assert len(GROUPS[FIELD_12]) == 12
    assert set(GROUPS[FIELD_12]) <= set(BUILT_IN)
    assert set(GROUPS).isdisjoint(BUILT_IN)


def test_words_stand_for_their_methods_and_none_comes_twice() -> None:
    assert expanded(["mine", "cache", "tip-adapter-f", "coop"], BUILT_IN) == [
        "mine",
        "tip-adapter",
        "tip-adapter-f",
        "coop",
    ]
    assert expanded(["cache"], ["coop"]) == []
    assert family_of("mine") == OTHER
    assert by_family(["mine", "maple", "coop"]) == {"context": ["coop"], "deep-prompts": ["maple"], OTHER: ["mine"]}


@pytest.mark.parametrize("word", GROUPS)
def test_a_comparison_takes_each_word(word: str) -> None:
    found = enumerate_request(Request(methods=(word,), protocols=("base-to-novel",), seeds=(1,)), "mini")
    assert list(dict.fromkeys(run.method for run in found.runs)) == list(GROUPS[word])
    assert not found.methods_named, "one that is not ready is left out, not an error"


def test_the_commands_take_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    planned = call("compare", "--methods", "cache", "coop", "--datasets", "digits", "--seeds", "1", "--plan")
    assert all(name in planned.out for name in ("tip-adapter", "tip-adapter-f", "coop"))
    assert "cach" in complaint("compare", "--methods", "cach", "--plan")
    assert "taken" in complaint("methods", "new", "cache")
    listed = call("methods", "list").out
    lines = [line.split()[0] for line in listed.splitlines() if line]
    assert lines.index("context:") < lines.index("coop") < lines.index("deep-prompts:") < lines.index("maple")


def test_no_plugin_may_take_their_names(tmp_path: Path) -> None:
    plugin = tmp_path / "cache.py"
    plugin.write_text(
        "from promptarena.methods.zeroshot import ZeroShot\n\n\nclass Cache(ZeroShot):\n"
        '    """Zero-shot."""\n\n    about = ZeroShot.about\n'
    )
    monkey = complaint("compare", "--plugin", plugin, "--methods", "zeroshot", "--plan")
    assert "'cache' stands for several methods; choose another name" in monkey
