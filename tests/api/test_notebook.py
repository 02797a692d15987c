"""From nothing to results, as in a notebook: a method defined in a cell, a DataFrame, a plot, a report, predictions."""

import linecache
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import promptarena as pa

CELL = '''
import torch
from torch import nn
from promptarena.plugin import About, Classes, Config, Learner, Recipe

SCALE = 0.5


def offset(size):
    return nn.Parameter(torch.zeros(size))


class MyConfig(Config):
    factor: float = SCALE


class MyLearner(Learner):
    """One learned offset."""

    about = About("Mine", "A paper", "venue", 2026, "https://example.org")
    config_type = MyConfig

    def __init__(self, backbone, config, classes, generator):
        super().__init__(backbone, config, classes, generator)
        self.b = offset(backbone.embed_dim)

    @classmethod
    def preset(cls, task):
        return MyConfig(), Recipe(epochs=2, batch_size=32, lr=0.002)

    def prompts(self, classes: Classes):
        with torch.no_grad():
            return self.backbone.encode_texts(classes.filled())

    def text_features(self, prompts):
        return prompts + self.config.factor * self.b
'''
SMALL = {"datasets": ["digits"], "protocols": ["base-to-novel"], "seeds": [1], "quiet": True}


def run_cell(text: str, name: str) -> dict[str, object]:
    """Run a cell as a notebook does: its source is in no file, only in Python's cache of lines."""
    import types

    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    module = types.ModuleType(f"cell_{abs(hash(name))}")
    sys.modules[module.__name__] = module
    exec(compile(text, name, "exec"), module.__dict__)
    return module.__dict__


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def results(folder: Path) -> pa.Results:
    learner = run_cell(CELL, "<cell 1>")["MyLearner"]
    return pa.compare(methods=["zeroshot", learner], results=folder / "results", **SMALL)  # type: ignore[list-item]


def test_a_class_of_a_cell_is_compared_and_its_source_is_kept(results: pa.Results, folder: Path) -> None:
    assert sorted(results.frame["method"].unique()) == ["mylearner", "zeroshot"]
    (kept,) = (folder / "results" / "plugins").rglob("mylearner.py")
    text = kept.read_text()
    assert "SCALE = 0.5" in text
    assert text.index("def offset") < text.index("class MyLearner")


def test_the_same_cell_runs_nothing_and_another_constant_is_another_method(results: pa.Results, folder: Path) -> None:
    again = run_cell(CELL, "<cell 2>")["MyLearner"]
    same = pa.compare(methods=["zeroshot", again], results=folder / "results", **SMALL)  # type: ignore[list-item]
    assert set(same.frame["run_id"]) == set(results.frame["run_id"])
    changed = run_cell(CELL.replace("SCALE = 0.5", "SCALE = 0.25"), "<cell 3>")["MyLearner"]
    for learner in (again, changed):
        pa.compare(methods=[learner], results=folder / "changed", **SMALL)  # type: ignore[list-item]
    assert len(pa.load_results(folder / "changed")) == 2


def test_two_classes_of_one_cell_and_a_base_class_are_named_as_they_are_listed(folder: Path) -> None:
    more = CELL + '\n\nclass Twice_As(MyLearner):\n    """Twice the offset."""\n\n    about = MyLearner.about\n'
    cell = run_cell(more.replace("class MyLearner", "class Once").replace("MyLearner", "Once"), "<cell 6>")
    found = pa.compare(methods=[cell["Once"], cell["Twice_As"]], results=folder / "results", **SMALL)  # type: ignore[list-item]
    assert sorted(found.frame["method"].unique()) == ["once", "twice-as"]


def test_results_are_tables_plots_and_a_report(results: pa.Results, folder: Path) -> None:
    board = results.leaderboard()
    assert list(board.to_frame().columns) == ["base_pct", "novel_pct", "hm_pct"]
    assert {table.key for table in board.board.tables} == {"average", "digits", "cost"}, "only what has results"
    assert "<table" in board._repr_html_()
    assert "\\begin{table" in board.to_latex()
    assert "| Method" in board.to_markdown()
    assert "Mean ranks" in repr(results.statistics("zeroshot"))
    assert results.plot("bars").axes
    with pytest.raises(pa.UserError, match=r"unknown plot of these results .bar..*bars"):
        results.plot("bar")
    with pytest.raises(pa.UserError, match="few-shot"):
        results.leaderboard("few-shot")
    assert results.report(folder / "r.html").read_text().lower().startswith("<!doctype html>")
    assert "mini" in repr(results.distances()) or results.distances().board.tables


def test_results_are_loaded_from_a_folder_an_address_and_an_export(results: pa.Results, folder: Path) -> None:
    place = folder / "results"
    loaded = pa.load_results(place)
    assert set(results.frame["run_id"]) <= set(loaded.frame["run_id"])
    assert len(pa.load_results(f"sqlite:///{place / 'mlflow.db'}")) == len(loaded)
    command = [sys.executable, "-m", "promptarena.benchmark.cli.main", "export", "--out", str(folder / "export")]
    subprocess.run([*command, "--results", str(place)], check=True, capture_output=True)
    assert pa.load_results(folder / "export").frame["correct"].sum() == loaded.frame["correct"].sum()


def test_a_trained_learner_classifies_images(folder: Path) -> None:
    found = pa.compare(methods=["coop"], settings={"coop.recipe.epochs": 2}, results=folder / "results", **SMALL)
    learner = pa.load_learner(found.frame["run_id"].iloc[0], results=folder / "results", device="cpu")
    assert learner.method == "coop"
    Image.new("RGB", (50, 40), "red").save(folder / "a.png")
    Image.new("L", (40, 50), 9).save(folder / "b.png")
    seen = learner.predict([folder / "a.png", folder / "b.png", Image.new("RGB", (9, 9))], top=2)
    assert seen["rank"].tolist() == [1, 2] * 3
    assert set(seen["class"]) <= set(learner.classes.names)
    own = learner.predict(folder / "a.png", classes=["cat", "dog"], top=2)
    assert own["probability"].sum() == pytest.approx(1, abs=1e-6)
    with pytest.raises(pa.UserError, match="no-such"):
        learner.predict(folder / "no-such.png")


def test_mistakes_are_one_line(folder: Path) -> None:
    with pytest.raises(pa.UserError, match="unknown method 'coopp'"):
        pa.compare(methods=["coopp"], results=folder / "none")
    with pytest.raises(pa.UserError, match="unknown precision 'fp8'"):
        pa.compare(methods="zeroshot", precision="fp8", results=folder / "of-no-precision", **SMALL)  # type: ignore[arg-type]
    with pytest.raises(pa.UserError, match="unknown precision 'fp8'"):
        pa.load_backbone(precision="fp8")  # type: ignore[arg-type]
    with pytest.raises(pa.UserError, match="no record in"):
        pa.load_results(folder / "none")
    assert not (folder / "none").exists()
    value = run_cell(CELL + "\nimport threading\nLOCK = threading.Lock()\n", "<cell 4>")
    learner = run_cell(CELL.replace("SCALE = 0.5", "SCALE = object()"), "<cell 5>")["MyLearner"] if value else None
    with pytest.raises(pa.UserError, match="uses SCALE, a object of the notebook"):
        pa.compare(methods=[learner], results=folder / "none", **SMALL)  # type: ignore[list-item]


def test_importing_the_api_is_fast_and_lists_its_names() -> None:
    code = (
        "import sys, promptarena as pa; print(dir(pa), [m for m in ('torch', 'mlflow', 'pandas') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.rstrip().endswith("[]")
    for name in pa.__all__:
        assert getattr(pa, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'comparee'; it has"):
        pa.comparee  # noqa: B018
