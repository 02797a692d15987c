"""`promptarena methods`: listed, shown, checked and begun as an inventor does it."""

from pathlib import Path

import pytest
from e2e_command import succeed
from e2e_inside import call, complaint

from promptarena.benchmark.contract.kit import RULES
from promptarena.benchmark.plugins.registry import load_registry

PAGE = Path(__file__).parents[2] / "docs" / "inventor.md"
BROKEN = '''
"""A method that breaks a rule."""

from promptarena.benchmark.plugins.learner import About
from promptarena.methods.zeroshot import ZeroShot


class Leaning(ZeroShot):
    """The later a class, the larger its logit."""

    about = About("Leaning", "On Leaning", "Nowhere", 2026, "https://example.org")

    def logits(self, images, classifier):
        logits = super().logits(images, classifier)
        return logits + logits.new_ones(logits.shape).cumsum(1)
'''


class Counted:
    """A plugin of pytest: how many tests passed."""

    passed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.passed += report.when == "call" and report.passed


def row(table: str, name: str) -> str:
    (line,) = [line for line in table.splitlines() if line.startswith(f"{name} ")]
    return line


def test_the_list_tells_parameters_and_parity(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    small, large = call("methods", "list"), call("methods", "list", "--backbone", "ViT-B-16")
    assert (small.code, small.err, large.code) == (0, "", 0)
    coop = row(small.out, "coop")
    assert all(cell in coop for cell in ("CoOp", "IJCV 2022", "2109.01134", "golden"))
    assert " 384 " in coop  # four vectors, 96 wide
    assert " 2,048 " in row(large.out, "coop")  # 512 wide
    assert " 0 " in row(small.out, "zeroshot")
    assert "golden*" in row(small.out, "maple")
    assert "on ViT-B-16, for 100 classes" in large.out
    for name in load_registry().methods:
        assert row(small.out, name)


def test_a_method_that_cannot_be_built_on_a_backbone_is_listed_with_its_reason(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    listed = call("methods", "list", "--backbone", "RN50").out
    assert " – " in row(listed, "maple")
    assert "maple: backbone RN50: its image encoder has no token sequence to edit; use a CLIP ViT" in listed
    assert " 2,048 " in row(listed, "coop")


def test_the_page_of_a_method_marks_what_is_assumed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    (here / "guess.py").write_text(
        BROKEN.replace("Leaning", "Guess")
        .replace("ZeroShot\n", "ZeroShot, ZeroShotConfig\n")
        .replace("import About\n", "import About, assumed\n")
        .replace(
            "class Guess(ZeroShot):",
            "class Settings(ZeroShotConfig):\n"
            '    width: int = assumed(3, description="of the guess")\n\n\n'
            "class Guess(ZeroShot):\n    config_type = Settings\n",
        )
        .replace('"https://example.org")', '"https://example.org", assumed=("few-shot recipe",))')
    )
    shown = call("methods", "show", "guess", "--plugin", "guess.py")
    assert (shown.code, shown.err) == (0, "")
    assert "assumed: few-shot recipe; guess.width" in shown.out
    assert "3 (assumed)" in row(shown.out, "guess.width")
    assert "(assumed)" not in row(shown.out, "guess.templates")
    assert "assumed: nothing" in call("methods", "show", "zeroshot").out


def test_a_check_tells_broken_rules_and_what_to_do(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    (here / "leaning.py").write_text(BROKEN)
    ended = call("methods", "check", "zeroshot", "leaning.py")
    assert (ended.code, ended.err) == (1, "")
    kept, broken = ended.out.split("leaning  ", 1)
    assert "broken" not in kept
    assert "broken" in row(broken, "class-order")
    assert "let nothing depend on a class's place" in row(broken, "class-order")
    assert "broken" not in row(broken, "batch")
    assert ended.out.splitlines()[-1] == "2 methods checked against 20 rules: broken by leaning."
    named = call("methods", "check", "leaning", "--plugin", "leaning.py")
    assert (named.code, named.out.splitlines()[-1]) == (1, "1 method checked against 20 rules: broken by leaning.")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("check", "cop"), "unknown method 'cop'; did you mean coop"),
        (("check", "missing.py"), "no plugin file missing.py"),
        (("check",), "Missing argument"),
        (("list", "--backbone", "ViT-B-61"), "unknown architecture 'ViT-B-61'; did you mean ViT-B-16"),
        (("new", "coop"), "method name 'coop' is taken"),
        (("new", "all"), "method name 'all' is taken"),
        (("new", "2fast"), "cannot name a method"),
        (("new", "a.b"), "cannot name a method"),
        (("new", "class"), "cannot name a method"),
        (("new", "torch"), "would hide the Python module"),
        (("new", "learner"), "needs the name Learner for something else"),
        (("new", "images", "--vision"), "needs the name Images for something else"),
    ],
)
def test_mistakes_are_reported_in_a_line(words: tuple[str, ...], expected: str, here: Path) -> None:
    assert expected in complaint("methods", *words)
    assert not list(here.iterdir())


def test_a_new_method_never_overwrites(here: Path) -> None:
    (here / "test_tilt.py").write_text("mine")
    assert "test_tilt.py exists already" in complaint("methods", "new", "tilt")
    assert [path.name for path in here.iterdir()] == ["test_tilt.py"]
    (here / "file").write_text("")
    assert "choose another --folder" in complaint("methods", "new", "tilt", "--folder", "file")


def test_the_page_for_inventors_shows_what_is_written_and_every_rule(here: Path) -> None:
    page = PAGE.read_text()
    assert call("methods", "new", "tilt").code == 0
    assert f"```python\n{(here / 'tilt.py').read_text()}```" in page
    for rule in RULES:
        assert f"| `{rule.name}` | {rule.meaning} | {rule.fix} |" in page


def test_a_new_method_of_the_image_tower_keeps_the_contract(here: Path) -> None:
    assert call("methods", "new", "tilt", "--vision").code == 0
    assert f"```python\n{(here / 'tilt.py').read_text()}```" in PAGE.read_text()
    ended = call("methods", "check", "tilt.py")
    assert (ended.code, ended.err) == (0, ""), ended.out
    assert ended.out.endswith("1 method checked against 20 rules: all kept.\n")


def test_debug_shows_the_traceback_of_an_exception(here: Path) -> None:
    (here / "leaning.py").write_text(BROKEN.replace("return ", "raise ValueError('odd')\n        return ", 1))
    ended = call("methods", "check", "leaning.py", "--debug")
    assert ended.code == 1
    assert ended.out.count("Traceback (most recent call last)") == 1
    assert "Traceback" not in call("methods", "check", "leaning.py").out


@pytest.mark.slow
def test_a_new_method_is_checked_tested_and_compared_by_the_commands_it_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = succeed("methods", "new", "my-tilt", "--folder", "mine", cwd=tmp_path)
    commands = [line.strip() for line in begun.out.splitlines() if line.startswith("    ")]
    assert commands == [
        "promptarena methods check mine/my_tilt.py",
        "python -m pytest mine/test_my_tilt.py",
        "promptarena compare --plugin mine/my_tilt.py --methods zeroshot my-tilt --seeds 1 --datasets digits "
        "--protocols base-to-novel",
    ]
    succeed(*commands[0].split()[1:], cwd=tmp_path)
    _, _, module, path = commands[1].split()
    counted = Counted()
    monkeypatch.chdir(tmp_path)
    assert (module, pytest.main([path, "--quiet"], [counted]), counted.passed) == ("pytest", 0, 1)
    compared = succeed(*commands[2].split()[1:], cwd=tmp_path)
    assert "my-tilt base-to-novel digits, seed 1: base " in compared.out
