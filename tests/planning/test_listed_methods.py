"""The methods that `methods list` shows."""

from pathlib import Path

from promptarena.benchmark.planning.listed_methods import listed_methods


def test_a_plugin_stands_among_the_others_and_a_failing_preset_is_said(tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from promptarena.benchmark.plugins.learner import About, Learner\n"
        "class Mine(Learner):\n"
        "    about = About('Mine', 'A paper', 'venue', 2026, 'https://example.org')\n"
        "    @classmethod\n"
        "    def preset(cls, task):\n"
        "        raise RuntimeError('no recipe')\n"
    )
    made, broken = listed_methods([plugin])
    assert not broken
    assert made["mine"].recipes["few-shot"][0] == "preset fails: RuntimeError: no recipe"
    assert (made["mine"].parameters, made["mine"].remark) == (None, "RuntimeError: no recipe")
