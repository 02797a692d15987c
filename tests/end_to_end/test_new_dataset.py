"""One's own images, as a newcomer uses them: a folder with spaces and accents, no network, no questions."""

import json
from pathlib import Path

import numpy as np
import pytest
from e2e_command import run, succeed
from PIL import Image

COLOURS = {
    "écureuil roux": (180, 80, 30),
    "grenouille": (40, 170, 50),
    "mésange bleue": (40, 80, 210),
    "poussin": (240, 220, 60),
}
OFFLINE = {"HF_HUB_OFFLINE": "1", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder, stream = tmp_path / "Mes données d'été", np.random.default_rng(1)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(10):
            pixels = np.clip(np.array(colour) + stream.normal(0, 40, (40, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"été {number}.png")
    return folder


def title(folder: Path, suite: str) -> str:
    """The title of the suite's board."""
    succeed("leaderboard", suite, "--out", "board.json", cwd=folder)
    return str(json.loads((folder / "board.json").read_text(encoding="utf-8"))[0]["title"])


def test_from_a_folder_of_images_to_a_leaderboard(images: Path, tmp_path: Path) -> None:
    new = succeed("datasets", "new", images.name, cwd=tmp_path)
    assert "mes-donnees-d-ete: 4 classes, images: 20 train, 8 val, 12 test (divided here: own split)." in new.out
    suite = "mes-donnees-d-ete-suite.toml"
    assert f"promptarena compare {suite} --methods zeroshot coop --seeds 1" in new.out
    assert len(list(images.rglob("*"))) == 44, "nothing is written beside the images"

    shown = succeed("compare", suite, "--methods", "zeroshot", cwd=tmp_path, **OFFLINE)
    assert "zeroshot" in shown.out
    limited = succeed("compare", suite, "--methods", "zeroshot", "--limit", "5", cwd=tmp_path, **OFFLINE)
    assert "at most 5 test images per dataset" in limited.out

    assert title(tmp_path, suite) == "Base-to-novel generalization"
    assert title(tmp_path, f"{suite}@5") == "Base-to-novel generalization, at most 5 test images per dataset"


def test_what_is_there_is_not_overwritten(images: Path, tmp_path: Path) -> None:
    succeed("datasets", "new", images, "--name", "ete", "--out", "neu/karte", cwd=tmp_path)
    before = (tmp_path / "neu/karte/ete.toml").read_bytes()
    ended = run("datasets", "new", images, "--name", "ete", "--out", "neu/karte", cwd=tmp_path)
    assert ended.code == 2
    assert "exists already; choose another --name or --out" in ended.err
    assert (tmp_path / "neu/karte/ete.toml").read_bytes() == before
