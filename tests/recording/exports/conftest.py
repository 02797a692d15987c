from pathlib import Path

import pytest


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite named small over a dataset dtd, none of whose files exist."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "dtd.toml").write_text(
        'name = "dtd"\ntitle = "Textures"\nreader = "folder"\ntemplate = "a {}."\nlicence = ""\ncitation = ""\n'
        'description = ""\n[options]\nfolder = "x"\n'.replace('""', '"none"')
    )
    path = tmp_path / "small.toml"
    path.write_text(
        'name = "small"\ntitle = "Small"\nminiature = true\ndatasets = ["dtd"]\n'
        '[backbone]\nconfig = "c.json"\nweights = "w.safetensors"\n'
    )
    return path
