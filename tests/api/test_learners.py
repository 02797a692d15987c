"""A trained learner classifies images."""

from pathlib import Path

import pytest
from PIL import Image

import promptarena as pa


def test_a_trained_learner_classifies_images(results: pa.Results, folder: Path) -> None:
    (run,) = results.frame.query("method == 'coop'")["run_id"].unique()
    learner = pa.load_learner(run, results=folder / "results", device="cpu")
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
