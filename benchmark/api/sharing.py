"""Handing on a trained learner: its tensors and a card in the form of the Hugging Face Hub."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.core.keys import file_digest
from promptarena.benchmark.core.runs import StoredResult, StoredScore
from promptarena.benchmark.planning.suites import Suite
from promptarena.benchmark.plugins.learner import About
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.benchmark.recording.place import RecordPlace
from promptarena.benchmark.recording.record import Record
from promptarena.benchmark.report.hub import CARD, TASK
from promptarena.benchmark.training.trained_learner import LEARNED, Learned, Origin
from promptarena.lookups import load_suite

_CLASSES: Mapping[str, str] = {
    "base": "base classes",
    "novel": "novel classes",
    "all": "all classes",
    "union": "base and novel classes together",
    "union-base": "base images among all classes",
    "union-novel": "novel images among all classes",
}
"""The scored subsets whose score is an accuracy."""


def export_learner(
    run: str,
    out: str | Path,
    *,
    suite: str | Path = "mini",
    results: str | Path = "results",
    tracking_uri: str | None = None,
    plugins: Sequence[str | Path] = (),
) -> Path:
    """Write a trained learner so that others can use it: `learned.safetensors` and a card, README.md.

    Args:
        run: The id of a finished run, or its beginning.
        out: The folder; created if missing. A folder with another learner or card is refused.
        suite: The suite of the run.
        results: The folder of the record.
        tracking_uri: The address of another MLflow store.
        plugins: Python files that define methods, if its method is in one.

    Returns:
        The path of the card.

    Raises:
        UserError: There is no such run, its learner is missing or damaged, or the files cannot be written.
    """
    loaded = load_suite(suite)
    record = Record.open_existing(RecordPlace(Path(results), tracking_uri))
    stored = _found(run, record.results(loaded.name), loaded.name)
    with tempfile.TemporaryDirectory() as folder:
        path = record.artifact(stored.run_id, LEARNED, Path(folder))
        known = stored.files.get(LEARNED)
        if known and file_digest(path) != known:
            raise UserError(
                f"{LEARNED} of run {stored.run_id} is damaged; delete the run in MLflow to have it run again"
            )
        origin = Learned.load(path).origin
        about = load_registry([Path(each) for each in plugins]).get(origin.method).learner.about
        contents = {LEARNED: path.read_bytes(), CARD: learner_card(stored, origin, loaded, about).encode()}
    for name, content in contents.items():
        there = Path(out) / name
        if there.exists() and there.read_bytes() != content:
            raise UserError(f"{there} is of something else; choose another folder, or remove it")
    for name, content in contents.items():
        write_atomically(Path(out) / name, content)
    return Path(out) / CARD


def learner_card(stored: StoredResult, origin: Origin, suite: Suite, about: About) -> str:
    """The card of a learner: Markdown with the entries in YAML that the Hub reads.

    Args:
        stored: The run that trained it.
        origin: What its file says about its training.
        suite: The suite of the run.
        about: The card of its method.

    Returns:
        The text.
    """
    from huggingface_hub import EvalResult, ModelCardData

    name = f"{stored.label} on {suite.card(stored.dataset).title}"
    scores = [score for score in stored.scores if not score.reading and score.target.subset in _CLASSES]
    data = ModelCardData(
        library_name="promptarena",
        pipeline_tag=TASK,
        license="other",
        license_name="licence-of-the-data",
        tags=["clip", "prompt-learning", origin.method],
        model_name=name,
        eval_results=[
            EvalResult(
                task_type=TASK,
                dataset_type=score.target.dataset,
                dataset_name=f"{suite.card(score.target.dataset).title}, {_CLASSES[score.target.subset]}",
                dataset_split="test",
                dataset_config=score.target.subset,
                metric_type="accuracy",
                metric_value=_percent(score),
                metric_name="accuracy in percent",
            )
            for score in scores
        ]
        or None,
    )
    lines = [
        "---",
        data.to_yaml(),
        "---",
        "",
        f"# {name}",
        "",
        f"A prompt learner for CLIP: {about.title} ({about.paper}, {about.venue} {about.year}, <{about.url}>).",
        "",
        "## Backbone",
        "",
        f"{stored.backbone} with the weights of SHA-256 `{origin.backbone}` (over the float32 tensors, so it is the "
        f"same for every file format). It was trained in {origin.precision}. promptarena refuses other weights.",
        "",
        "## Training",
        "",
        f"{stored.protocol}, {stored.shots} images of each of {len(origin.classes)} classes"
        f"{'' if stored.seed is None else f', seed {stored.seed}'}, prompt template `{origin.classes.template}`.",
        "",
        *_data_lines(stored, suite),
        "",
        "## Scores",
        "",
        "| dataset | classes | accuracy in % | test images |",
        "|---|---|---|---|",
        *(
            f"| {suite.card(score.target.dataset).title} | {_CLASSES[score.target.subset]} | {_percent(score):.2f} "
            f"| {score.total} |"
            for score in scores
        ),
        "",
        *(["Miniature: never compare with published figures.", ""] if stored.miniature else []),
        "## Use",
        "",
        "```python",
        "import promptarena as pa",
        "",
        f'learner = pa.load_learner("{LEARNED}", suite="{suite.name}")',
        'learner.predict("images", top=5)',
        "```",
        "",
        f"At a shell: `promptarena predict {LEARNED} images --suite {suite.name}`. The suite names the backbone.",
        "",
    ]
    return "\n".join(lines)


def _data_lines(stored: StoredResult, suite: Suite) -> list[str]:
    """What is known of the dataset: the licence is the data's, not the learner's."""
    card = suite.card(stored.dataset)
    lines = [f"- Data: {card.title} (`{card.name}`)."]
    lines += [f"- Licence of the data: {card.licence or 'not known; ask the authors of the dataset.'}"]
    return lines + ([f"- Cite: {card.citation}"] if card.citation else [])


def _found(run: str, results: Sequence[StoredResult], suite: str) -> StoredResult:
    found = [result for result in results if run and result.run_id.startswith(run)]
    if len(found) > 1:
        raise UserError(f"{len(found)} runs of suite {suite} begin with {run}; give more of the id")
    if not found:
        raise unknown(f"finished run of suite {suite}", run, [result.run_id for result in results])
    return found[0]


def _percent(score: StoredScore) -> float:
    return 100 * score.correct / score.total
