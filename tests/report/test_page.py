"""The report: its figures against the integers, what it says of runs, and that no frame and no name breaks it."""

import base64
import json
import math
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from report_runs import NASTY, document_of, layout_of, page, results_of

from promptarena.benchmark.cli import main as cli
from promptarena.benchmark.cli.commands.report import page_of
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.protocol_table import PROTOCOLS
from promptarena.benchmark.core.runs import StoredResult
from promptarena.benchmark.leaderboard.build import BoardQuery, leaderboard
from promptarena.benchmark.leaderboard.model import Board
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.report.page import report_page
from promptarena.benchmark.report.provenance import command, facts, lines, splits

OUTLINE = layout_of()
LABELS = ("coop", *NASTY)


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    # They take seconds; the shared page, which is made before, has them.
    monkeypatch.setattr("promptarena.benchmark.report.sections.every_figure", lambda *_, **__: {})


def parsed(html: str) -> BeautifulSoup:
    return BeautifulSoup(html, "html.parser")


def page_with(results: Sequence[StoredResult], **chosen: Any) -> BeautifulSoup:
    return parsed(page_of(OUTLINE, results, list(map(document_of, results)), **chosen))


def table(soup: Tag, caption: str) -> Tag:
    (found,) = [each for each in soup.find_all("table") if each.caption and each.caption.get_text() == caption]
    assert isinstance(found, Tag)
    return found


def rows(of: Tag) -> dict[str, list[str]]:
    """The texts of a table's cells by the text of its row's heading."""
    assert of.tbody
    return {row.th.get_text(): [cell.get_text() for cell in row.find_all("td")] for row in of.tbody.find_all("tr")}


def missing(soup: BeautifulSoup) -> str:
    section = soup.find(id="missing")
    assert section
    return section.get_text()


@pytest.fixture(scope="module")
def results() -> list[StoredResult]:
    return results_of(OUTLINE, LABELS, protocols=["base-to-novel", "cross-dataset"])


@pytest.fixture(scope="module")
def html(results: list[StoredResult]) -> str:
    return page_of(OUTLINE, results, list(map(document_of, results)), title="A title & more", reference="coop")


@pytest.fixture(scope="module")
def soup(html: str) -> BeautifulSoup:
    return parsed(html)


def test_averages_are_those_of_the_integers(results: list[StoredResult], soup: BeautifulSoup) -> None:
    shown = rows(table(soup, "Average over 3 datasets"))
    assert list(shown) != []
    for label in LABELS:
        means = []
        for subset in ("base", "novel"):
            parts = [
                100 * sum(score.correct / score.total for score in found) / len(found)
                for dataset in OUTLINE.datasets
                if (
                    found := [
                        score
                        for result in results
                        if (result.protocol, result.label, result.dataset) == ("base-to-novel", label, dataset)
                        for score in result.scores
                        if score.target.subset == subset
                    ]
                )
            ]
            means.append(sum(parts) / len(parts))
        means.append(2 / (1 / means[0] + 1 / means[1]))
        assert [text.split()[0] for text in shown[label]] == [f"{mean:.2f}" for mean in means]


def test_cells_are_sorted_by_unrounded_values(soup: BeautifulSoup) -> None:
    for cell in table(soup, "Average over 3 datasets").select("tbody td"):
        assert f"{float(str(cell['data-sort'])):.2f}" == cell.get_text().split()[0]


def test_names_are_text_and_never_markup(soup: BeautifulSoup) -> None:
    assert len(soup.find_all("script")) == 1
    assert set(rows(table(soup, "Average over 3 datasets"))) == set(LABELS)
    assert soup.h1
    assert soup.h1.get_text() == "A title & more"


def test_nothing_is_loaded_from_elsewhere(soup: BeautifulSoup) -> None:
    for element in soup.find_all(True):
        for name in ("src", "href", "srcset", "data", "action"):
            assert str(element.get(name, "#")).startswith(("data:", "#")), element
    assert not soup.find_all(["iframe", "object", "embed"])
    style, script = soup.style, soup.script
    assert style
    assert script
    assert not re.search(r"@import|url\(|https?:", style.get_text() + script.get_text())
    (policy,) = soup.find_all("meta", {"http-equiv": "Content-Security-Policy"})
    assert str(policy["content"]).startswith("default-src 'none'")


def test_tables_and_figures_are_accessible(soup: BeautifulSoup) -> None:
    assert soup.html
    assert soup.html["lang"] == "en"
    tables = soup.find_all("table")
    assert len(tables) > 8
    for each in tables:
        assert each.caption
        assert each.caption.get_text().strip()
        assert all(heading.get("scope") for heading in each.find_all("th"))
        assert each.parent
        assert each.parent["role"] == "region"
        assert each.parent["tabindex"] == "0"
    pictures = soup.find_all("img")
    assert len(pictures) >= 6
    assert all(len(str(picture["alt"])) > 20 for picture in pictures)
    names = [element["id"] for element in soup.find_all(id=True)]
    assert len(names) == len(set(names))
    for select in soup.select("form select, form input"):
        assert select.find_parent("label")
    assert {link["href"] for link in soup.select("nav a")} <= {f"#{name}" for name in names}


def test_everything_is_there_without_scripts(soup: BeautifulSoup) -> None:
    hidden = soup.find_all(hidden=True)
    assert [element.name for element in hidden] == ["form"]


def test_the_page_carries_the_tables_as_data(results: list[StoredResult], soup: BeautifulSoup) -> None:
    files = {
        str(link["download"]): base64.b64decode(str(link["href"]).partition("base64,")[2]).decode()
        for link in soup.select("a[download]")
    }
    assert set(files) == {"s.csv", "s.json", "s.md", "s.tex"}
    boards = json.loads(files["s.json"])
    assert [(board["protocol"], board["part"]) for board in boards if board["part"] != "published"] == [
        ("base-to-novel", ""),
        ("base-to-novel", "statistics"),
        ("cross-dataset", ""),
        ("cross-dataset", "statistics"),
    ]
    (d1,) = [each for each in boards[0]["tables"] if each["key"] == "d1"]
    for row in d1["rows"]:
        mine = [
            score
            for result in results
            if (result.protocol, result.label) == ("base-to-novel", row["method"])
            for score in result.scores
            if (score.target.dataset, score.target.subset) == ("d1", "novel")
        ]
        figure = row["figures"]["novel_pct"]
        assert (figure["correct"], figure["total"]) == (sum(s.correct for s in mine), sum(s.total for s in mine))
        mean = math.fsum(100 * s.correct / s.total for s in mine) / len(mine)
        assert figure["value"] == pytest.approx(mean, abs=1e-9)


def test_equal_arguments_give_an_equal_page() -> None:
    chosen: dict[str, Any] = {"protocols": ["domain-generalization"], "methods": 2}
    assert page(**chosen) == page(**chosen)


def test_the_comparison_is_told_in_sentences(soup: BeautifulSoup) -> None:
    text = soup.find(id="base-to-novel")
    assert text
    assert re.search(r"3 datasets x 3 seeds", text.get_text())


def test_runs_that_make_no_sense_are_left_out_and_named() -> None:
    good = results_of(OUTLINE, ["coop", "maple"], protocols=["cross-dataset"])
    bad = replace(good[0], run_id="bad-run", method="broken", cost=replace(good[0].cost, train_seconds=math.nan))
    soup = page_with([*good, bad])
    assert "bad-run" in missing(soup)
    assert set(rows(table(soup, "Source and targets"))) == {"coop", "maple"}


def test_a_method_whose_runs_may_not_be_mixed_is_left_out_and_named() -> None:
    runs = results_of(OUTLINE, ["coop", "maple"], protocols=["cross-dataset"])
    mixed = [
        replace(run, settings={"provenance.precision": "bf16" if run.seed == 1 else "fp32"})
        if run.label == "maple"
        else replace(run, settings={"provenance.precision": "fp32"})
        for run in runs
    ]
    soup = page_with(mixed)
    assert "bf16" in missing(soup)
    assert set(rows(table(soup, "Source and targets"))) == {"coop"}


def test_a_protocol_that_mixes_backbones_is_refused_and_the_others_are_shown() -> None:
    runs = results_of(OUTLINE, ["coop", "maple"], protocols=["cross-dataset", "domain-generalization"])
    mixed = [
        replace(run, settings={"provenance.backbone": "a" * 64 if run.label == "coop" else "b" * 64})
        if run.protocol == "cross-dataset"
        else run
        for run in runs
    ]
    soup = page_with(mixed)
    assert "backbone" in missing(soup)
    assert soup.find(id="domain-generalization")
    assert not soup.find(id="cross-dataset")


def test_holes_duplicates_and_one_seed_are_told() -> None:
    runs = results_of(OUTLINE, ["coop", "maple"], (1,), ["base-to-novel"])
    runs = [replace(run, duplicates=2) if run.label == "maple" else run for run in runs]
    runs = [run for run in runs if (run.label, run.dataset) != ("coop", "d1")]
    soup = page_with(runs)
    assert "finished 3 times" in missing(soup)
    assert "coop: 2 of 6 figures incomplete (Data 1 base, Data 1 novel)" in missing(soup)
    assert rows(table(soup, "Data 1"))["coop"] == ["–", "–", "–"]
    assert rows(table(soup, "Average over 3 datasets"))["coop"] == ["2 of 3"] * 3
    assert "±" not in table(soup, "Average over 3 datasets").get_text()
    assert {str(cell["data-sort"]) for cell in table(soup, "Data 1").select("tr[data-method=coop] td")} == {""}


def test_a_report_without_any_sound_run_says_so() -> None:
    (run, *_) = results_of(OUTLINE, ["coop"], protocols=["cross-dataset"])
    soup = page_with([replace(run, scores=tuple(replace(score, total=0) for score in run.scores))])
    assert "No leaderboard" in soup.get_text()
    assert run.run_id in missing(soup)
    assert "Nothing" not in missing(soup)


def test_nothing_missing_is_said() -> None:
    assert "Nothing: every figure is there." in missing(parsed(report_page(OUTLINE, [], [])))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"protocols": ["base"]}, "unknown protocol 'base'"),
        ({"datasets": ["d9"]}, "unknown dataset 'd9'"),
        ({"methods": ["cop"]}, "unknown recorded method 'cop'"),
        ({"reference": "cop"}, "unknown method to compare with 'cop'"),
    ],
)
def test_a_mistaken_choice_is_named(chosen: dict[str, Any], message: str) -> None:
    runs = results_of(OUTLINE, ["coop"], protocols=["cross-dataset"])
    with pytest.raises(UserError, match=re.escape(message)):
        page_of(OUTLINE, runs, list(map(document_of, runs)), **chosen)


def test_what_all_runs_share_is_told_from_what_differs() -> None:
    runs = results_of(OUTLINE, ["coop", "maple"], (1,), ["cross-dataset"])
    shared, differing = facts([document_of(run, precision="bf16" if run.label == "maple" else "fp32") for run in runs])
    assert ("torch", "2.6.0") in [(fact.name, fact.value) for fact in shared]
    assert [(fact.name, fact.value, fact.runs, fact.labels) for fact in differing] == [
        ("precision", "fp32", 1, "coop"),
        ("precision", "bf16", 1, "maple"),
    ]


def test_every_split_has_its_digest_and_a_rival_digest_a_line_of_its_own() -> None:
    runs = results_of(OUTLINE, ["coop"], (1, 2), ["base-to-novel"])
    documents = list(map(document_of, runs))
    found = splits(documents)
    assert len(found) == 3 * 2 + 3 * 2
    rival = document_of(runs[0], train_split="other")
    assert len(splits([*documents, rival])) == len(found) + 1


def test_settings_that_differ_between_runs_are_named_not_shown() -> None:
    runs = [document_of(run) for run in results_of(OUTLINE, ["coop"], (1, 2), ["cross-dataset"])]
    runs[0]["recipe"] = {"epochs": 5, "lr": 0.002}
    (line,) = lines(OUTLINE, "s", runs)
    assert line.recipe == "lr=0.002; not alike in all runs: epochs"
    assert line.seeds == "1, 2"


def requested(line: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Request, Any]:
    """What the command line makes of a command."""
    heard: list[Any] = []
    monkeypatch.setattr(
        "promptarena.benchmark.cli.commands.compare.run_compare",
        lambda *arguments, **named: heard.append(arguments) or 0,
    )
    # The suites of these commands are invented, so their names are not looked up.
    monkeypatch.setattr("promptarena.benchmark.planning.suites.load_suite", lambda suite: suite)
    monkeypatch.setattr(Request, "check_names", lambda *arguments: None)
    program, *words = shlex.split(line)
    assert program == "promptarena"
    cli.app(words, standalone_mode=False)
    ((request, execution, *_),) = heard
    return request, execution


def test_a_command_asks_for_exactly_the_runs_of_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    for run in results_of(OUTLINE, ["coop"], (3, 1), ["few-shot"]):
        if run.dataset != "d1":
            runs.append(document_of(run, precision="bf16", method_origin="/my plug-ins/it's.py"))
    for run in runs:
        run["spec"]["overrides"] = [["init", "a photo of a"], ["recipe.epochs", "5"]]
    request, execution = requested(command(OUTLINE, "my suites/s.toml", runs), monkeypatch)
    assert request == Request(
        methods=["coop"],
        protocols=["few-shot"],
        datasets=["d0", "d2"],
        seeds=[1, 3],
        shots=[1, 16],
        settings=["coop.init=a photo of a", "coop.recipe.epochs=5"],
    )
    assert (execution.suite, execution.precision) == ("my suites/s.toml", "bf16")
    assert execution.plugins == (Path("/my plug-ins/it's.py"),)


def test_a_command_for_all_datasets_and_no_seed_names_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    for protocol in ("base-to-novel", "cross-dataset"):
        runs = list(map(document_of, results_of(OUTLINE, ["zeroshot"], (None,), [protocol])))  # type: ignore[list-item]
        request, _ = requested(command(OUTLINE, "s", runs), monkeypatch)
        assert (request.datasets, request.seeds, request.protocols) == ((), (), [protocol])


def test_a_command_names_the_targets_of_a_transfer_that_has_not_all() -> None:
    (run, *_) = results_of(OUTLINE, ["coop"], (1,), ["cross-dataset"])
    fewer = replace(run, scores=run.scores[:2])
    assert "--datasets d1 --seeds" in command(OUTLINE, "s", [document_of(fewer)])


def test_the_page_is_made_without_torch_and_mlflow() -> None:
    code = (
        "import sys\n"
        "class Barred:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] in ('torch', 'mlflow'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Barred())\n"
        "import report_runs\n"
        "print(report_runs.page(methods=2, protocols=['cross-dataset']).count('<h2'))\n"
    )
    support = Path(__file__).parents[1] / "support"
    ended = subprocess.run([sys.executable, "-c", code], cwd=support, capture_output=True, text=True, check=False)
    assert ended.stdout == "4\n", ended.stderr


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_leaderboard_of_a_protocol_is_built_once_for_all_that_is_made_of_it(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []

    def counted(query: BoardQuery) -> Board:
        built.append(query.protocol)
        return leaderboard(query)

    monkeypatch.undo()  # the figures, too
    monkeypatch.setattr("promptarena.benchmark.leaderboard.build.leaderboard", counted)
    results = results_of(OUTLINE, ["coop", "maple"], protocols=[protocol])
    html = page_of(OUTLINE, results, list(map(document_of, results)), reference="coop")
    assert "distance to published figures" in html
    assert "<img" in html
    assert built == [protocol]
