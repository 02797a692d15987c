"""What is kept of weights counts only for these very files."""

from pathlib import Path

from promptarena.benchmark.backbone.kept_identity import keep_identity, kept_identity
from promptarena.benchmark.backbone.weight_origins import Weights

FOUND = Weights("digest", "local file weights.pt")


def test_it_is_found_for_the_same_content_only(tmp_path: Path) -> None:
    architecture, weights = tmp_path / "clip.json", tmp_path / "weights.pt"
    architecture.write_text("{}")
    weights.write_bytes(b"1")
    assert kept_identity(tmp_path, architecture, weights) is None
    keep_identity(tmp_path, architecture, weights, FOUND)
    assert kept_identity(tmp_path, architecture, weights) == FOUND
    for file, content in ((weights, b"2"), (architecture, b"[]")):
        before = file.read_bytes()
        file.write_bytes(content)
        assert kept_identity(tmp_path, architecture, weights) is None
        file.write_bytes(before)
    (kept,) = (tmp_path / "weights").iterdir()
    kept.write_text("{")
    assert kept_identity(tmp_path, architecture, weights) is None


def test_nothing_is_kept_of_missing_files_and_tags(tmp_path: Path) -> None:
    for weights in (tmp_path / "none.pt", "openai"):
        keep_identity(tmp_path, "ViT-B-16", weights, FOUND)
        assert kept_identity(tmp_path, "ViT-B-16", weights) is None
