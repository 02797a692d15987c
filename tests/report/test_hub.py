"""Model cards and evaluation results for the Hugging Face Hub."""

from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard
from report_pages import OUTLINE
from report_runs import results_of

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.report.hub import write_cards
from promptarena.benchmark.report.sections import Section, sections_of

PROTOCOLS = ["base-to-novel", "cross-dataset"]


@pytest.fixture(scope="module")
def sections() -> list[Section]:
    return sections_of(OUTLINE, results_of(OUTLINE, ["zeroshot", "coop"], (1, 2), PROTOCOLS))


def shown(section: Section, label: str) -> dict[tuple[str, str], float]:
    """The complete figures of a method on datasets, in percent rounded as in tables, by dataset and metric."""
    found = {}
    for table in section.board.tables:
        (cells,) = (row.cells for row in table.rows if row.label == label)
        for column, cell in zip(table.columns, cells, strict=True):
            dataset = column.dataset or table.dataset
            if dataset and column.metric and cell.value is not None:
                found[dataset, column.metric] = round(cell.value, 2)
    return found


def test_a_card_has_the_figures_of_the_leaderboard(sections: list[Section], tmp_path: Path) -> None:
    cards = write_cards(tmp_path, sections)
    assert [card.relative_to(tmp_path).as_posix() for card in cards] == ["zeroshot/README.md", "coop/README.md"]
    assert not list(tmp_path.rglob(".eval_results"))
    card = ModelCard(cards[1].read_text(encoding="utf-8"))
    assert card.data.eval_results
    # The Hub files figures under a task, and a model under its pipeline: they are one.
    assert {each.task_type for each in card.data.eval_results} == {card.data.pipeline_tag}
    for section in sections:
        figures = {
            (each.dataset_type, each.metric_type): each.metric_value
            for each in card.data.eval_results
            if each.dataset_config == section.protocol
        }
        assert figures == shown(section, "coop")
        assert section.board.title in card.text
    assert "| coop" in card.text
    assert "| zeroshot" in card.text


def test_with_a_benchmark_the_figures_are_evaluation_results(sections: list[Section], tmp_path: Path) -> None:
    write_cards(tmp_path, sections, "me/arena")
    entries = yaml.safe_load((tmp_path / "coop" / ".eval_results" / f"{OUTLINE.name}.yaml").read_text(encoding="utf-8"))
    assert {entry["dataset"]["id"] for entry in entries} == {"me/arena"}
    by_task = {entry["dataset"]["task_id"]: entry["value"] for entry in entries}
    assert len(by_task) == len(entries)
    expected = {
        f"{section.protocol}-{dataset}-{metric}": value
        for section in sections
        for (dataset, metric), value in shown(section, "coop").items()
    }
    assert by_task == expected
    assert all("mean of 2 seeds, standard deviation" in entry["notes"] for entry in entries)


@pytest.mark.parametrize("benchmark", ["arena", "me/are na", "https://hub/me/arena", "../x"])
def test_what_is_no_dataset_of_the_hub_is_refused(sections: list[Section], tmp_path: Path, benchmark: str) -> None:
    with pytest.raises(UserError, match="OWNER/NAME"):
        write_cards(tmp_path, sections, benchmark)
    assert not list(tmp_path.iterdir())


def test_methods_that_would_share_a_folder_are_refused(tmp_path: Path) -> None:
    results = results_of(OUTLINE, ["coop (a)", "coop [a]"], (1,), ["base-to-novel"])
    with pytest.raises(UserError, match=r"would both be written to"):
        write_cards(tmp_path, sections_of(OUTLINE, results))
