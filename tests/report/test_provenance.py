"""Where the report's figures come from: facts, settings, splits."""

from report_pages import OUTLINE
from report_runs import document_of, results_of

from promptarena.benchmark.report.provenance import facts, lines, splits


def test_what_all_runs_share_is_separated_from_what_differs() -> None:
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
    (line,) = lines(runs)
    assert line.recipe == "lr=0.002; different between runs: epochs"
    assert line.seeds == "1, 2"


def test_protocols_with_the_same_settings_share_a_line() -> None:
    runs = list(map(document_of, results_of(OUTLINE, ["coop"], (1,), ["base-to-novel", "cross-dataset"])))
    (line,) = lines(runs)
    assert (line.protocols, line.runs) == (("base-to-novel", "cross-dataset"), 4)
    runs[-1]["config"] = {"n_ctx": 16}
    assert [line.protocols for line in lines(runs)] == [("base-to-novel",), ("cross-dataset",)]
