"""The page and the commands that show published figures."""

import re

import pandas as pd
import pytest
from published_files import ROOT, rerun_lines

from promptarena.benchmark.cli.commands.published import print_published, print_published_list
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.paths import PUBLISHED
from promptarena.benchmark.published.rows import KINDS

"""What a check by hand found."""


def test_the_page_lists_every_flag_and_the_readme_every_source(published: pd.DataFrame) -> None:
    metrics = {"base": "base", "novel": "novel", "hm": "HM", "accuracy": "accuracy"}
    flags = [
        f"| {row['protocol']} | {row['method']} | {row['kind']} | {row['dataset']} | {metrics[row['metric']]} "
        f"| {row['text']} | {row['recomputed']:.2f} |"
        for row in published[published["flag"] != ""].to_dict("records")
    ]
    assert "\n".join(flags) + "\n\n" in (ROOT / "docs" / "published.md").read_text()
    readme = (PUBLISHED / "README.md").read_text()
    sources = [
        f"| {source} | {len(rows)} | {', '.join(kind for kind in KINDS if (rows['kind'] == kind).any())} |"
        for source, rows in published.groupby("source", sort=False)
    ]
    assert readme.endswith("\n".join(sources) + "\n")
    for protocol, rows in published.groupby("protocol"):
        assert f"| [{protocol}.csv]({protocol}.csv) | {len(rows)} |" in readme


def test_the_page_of_re_runs_has_every_average_that_others_found(published: pd.DataFrame) -> None:
    assert "\n".join(rerun_lines(published)) + "\n" in (ROOT / "docs" / "reruns.md").read_text()


def test_the_list_has_a_line_for_every_method(published: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    print_published_list()
    lines = capsys.readouterr().out.splitlines()
    for method in ("zeroshot", "coop", "PromptKD *", "dear"):
        (line,) = [line.removeprefix(method).split() for line in lines if line.startswith(f"{method} ")]
        rows = published[published["method"] == method.removesuffix(" *")]
        numbers = [0 if word == "–" else int(word) for word in line]
        assert sum(numbers[:4]) == sum(numbers[4:7]) == len(rows)
        assert numbers[7] == (rows["flag"] != "").sum()


def test_a_methods_figures_are_shown_with_kind_flag_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    print_published("mmrl")
    ours = capsys.readouterr().out
    print_published("mmrl(RE-RUN)")
    assert capsys.readouterr().out == ours
    assert re.search(r"^dtd +16 +85.67 +65.00 +73.82! +quoted +\[2\]", ours, re.MULTILINE)
    assert re.search(r"^eurosat +16 +96.10 +72.33 +82.54 +re-run +\[\d\]", ours, re.MULTILINE)
    assert "[2] DiscoVL paper Table 1\n" in ours
    assert "! base-to-novel, dtd HM [2]: printed 73.82" in ours
    print_published("dear")
    bounds = capsys.readouterr().out
    assert re.search(r"^average +16 +– +77.00 +80.60 +bound", bounds, re.MULTILINE)
    assert "printed with a plus sign" in bounds
    print_published("zeroshot")
    assert re.search(r"^imagenet +all +68.3 +quoted", capsys.readouterr().out, re.MULTILINE)


def test_an_unknown_method_is_reported_with_near_names() -> None:
    with pytest.raises(UserError, match="unknown method with published figures 'mapel'; did you mean maple"):
        print_published("mapel")
