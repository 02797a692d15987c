import json
import shutil

import pytest

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.miniature import digits
from promptarena.benchmark.data.miniature.pack import Pack, load_pack, pack_digest, pack_dir, verified, write_index

ONE_COLOUR = {"emojione-monotone", "game-icons", "fluent-emoji-high-contrast", "digit-typefaces"}
SHARE_ALIKE = {"openmoji", "emojione-v1"}


def copy_of_pack(tmp_path, names=("pack.json", "manifest.csv", "concepts.json", "game-icons.webp")):
    for name in names:
        shutil.copy(pack_dir() / name, tmp_path)
    return tmp_path


def test_every_data_file_matches_its_checksum():
    index = json.loads((pack_dir() / "pack.json").read_text())["files"]
    present = {path.name for path in pack_dir().iterdir() if path.suffix in {".webp", ".csv", ".json"}} - {"pack.json"}
    assert set(index) == present
    for name in index:
        assert verified(pack_dir(), name).is_file()


@pytest.mark.parametrize("name", load_pack().style_names())
def test_a_style_has_as_many_sprites_as_manifest_rows(name):
    style = load_pack().style(name)
    assert style.pixels.shape == (sum(map(len, style.rows.values())), 4, 64, 64)
    assert style.one_colour == (name in ONE_COLOUR)
    assert sorted(row for rows in style.rows.values() for row in rows) == list(range(len(style.pixels)))
    assert (style.pixels[:, 3].max(axis=(1, 2)) > 100).all(), "an empty sprite"


def test_share_alike_and_evaluation_styles_are_not_for_pretraining():
    pretraining = set(load_pack().style_names("pretrain"))
    assert pretraining.isdisjoint(SHARE_ALIKE)
    assert pretraining.isdisjoint(
        {"fluent-emoji", "fxemoji", "streamline-emojis", "flag", "fluent-emoji-high-contrast"}
    )


def test_all_digits_are_drawn_by_many_typefaces():
    rows = load_pack().style("digit-typefaces").rows
    assert set(rows) == {f"digit-{name}" for name in digits.NAMES}
    assert {len(found) for found in rows.values()} == {123}


def test_a_damaged_atlas_is_named(tmp_path):
    folder = copy_of_pack(tmp_path)
    with (folder / "game-icons.webp").open("r+b") as stream:
        stream.seek(2000)
        stream.write(b"x")
    with pytest.raises(UserError, match=r"damaged: .*game-icons\.webp"):
        Pack(folder).style("game-icons")


def test_a_missing_atlas_is_named(tmp_path):
    with pytest.raises(UserError, match=r"lacks .*noto\.webp"):
        Pack(copy_of_pack(tmp_path)).style("noto")


def test_a_missing_index_is_reported_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"no readable index .*pack\.json; reinstall") as caught:
        Pack(tmp_path)
    assert "\n" not in str(caught.value)


def test_an_unknown_style_gets_a_suggestion():
    with pytest.raises(UserError, match="did you mean twemoji"):
        load_pack().style("twemojis")


def test_the_digest_follows_the_index(tmp_path):
    assert pack_digest() == pack_digest()
    folder = copy_of_pack(tmp_path)
    (folder / "ATTRIBUTION.md").write_text("text is not data")
    write_index(folder)
    assert set(json.loads((folder / "pack.json").read_text())["files"]) == {
        "manifest.csv",
        "concepts.json",
        "game-icons.webp",
    }
