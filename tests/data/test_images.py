"""Decoding: every kind of picture becomes RGB, every damaged one a UserError that names the file."""

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.images import FileImages, RenderedImages, decode


def gradient(width: int = 8, height: int = 6) -> Image.Image:
    ramp = np.linspace(0, 255, width * height * 3).reshape(height, width, 3)
    return Image.fromarray(ramp.astype(np.uint8))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_png_of_every_mode_becomes_what_pillow_converts_it_to(tmp_path: Path, mode: str) -> None:
    picture = gradient().convert(mode)
    picture.save(tmp_path / "a.png")
    decoded = decode(tmp_path / "a.png")
    assert (decoded.mode, decoded.size) == ("RGB", (8, 6))
    np.testing.assert_array_equal(np.asarray(decoded), np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("name", ["a.JPG", "a.jpeg", "a.webp", "a.BMP"])
def test_other_formats(tmp_path: Path, name: str) -> None:
    gradient().save(tmp_path / name)
    assert (decode(tmp_path / name).mode, decode(tmp_path / name).size) == ("RGB", (8, 6))


def test_cmyk_jpeg(tmp_path: Path) -> None:
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "red.jpg")
    red, green, blue = np.asarray(decode(tmp_path / "red.jpg"))[0, 0].tolist()
    assert red > 200
    assert green < 60
    assert blue < 60


def test_16_bit_values_are_clipped_at_255(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 200, 255, 40000]], dtype=np.uint16)).save(tmp_path / "deep.png")
    assert np.asarray(decode(tmp_path / "deep.png"))[0, :, 0].tolist() == [0, 200, 255, 255]


def test_alpha_is_dropped_not_blended(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (10, 20, 30, 0)).save(tmp_path / "clear.png")
    assert decode(tmp_path / "clear.png").getpixel((0, 0)) == (10, 20, 30)


def test_a_transparent_palette_decodes_without_a_warning(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 2))
    picture.putpalette([10, 20, 30] * 256)
    picture.save(tmp_path / "p.png", transparency=bytes(256))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(tmp_path / "p.png").getpixel((0, 0)) == (10, 20, 30)


def test_exif_orientation_is_not_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    gradient(8, 6).save(tmp_path / "turned.jpg", exif=exif)
    assert decode(tmp_path / "turned.jpg").size == (8, 6)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.jpg: No such file"):
        decode(tmp_path / "gone.jpg")


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_a_file_that_is_no_picture(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.jpg").write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.jpg cannot be decoded .* replace the file"):
        decode(tmp_path / "bad.jpg")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_a_truncated_file(tmp_path: Path, kind: str) -> None:
    stream = BytesIO()
    gradient(64, 64).save(stream, kind)
    (tmp_path / "cut").write_bytes(stream.getvalue()[: len(stream.getvalue()) // 2])
    with pytest.raises(UserError, match="cut cannot be decoded"):
        decode(tmp_path / "cut")


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gradient(40, 40).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UserError, match=r"bomb\.png cannot be decoded"):
        decode(tmp_path / "bomb.png")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(kind=st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "GIF"]), data=st.data())
def test_damaged_bytes_decode_or_raise_a_user_error(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    stream = BytesIO()
    gradient(16, 16).save(stream, kind)
    content = bytearray(stream.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "hurt").write_bytes(content)
    try:
        mode = decode(tmp_path / "hurt").mode
    except UserError as error:
        line = str(error)
    else:
        line = f"hurt is {mode}"
    assert "hurt" in line
    assert "\n" not in line


def test_file_images_are_addressed_by_position(tmp_path: Path) -> None:
    gradient().save(tmp_path / "b.png")
    images = FileImages(tmp_path, ("b.png",))
    assert len(images) == 1
    np.testing.assert_array_equal(np.asarray(images.pixels(0)), np.asarray(gradient()))


def test_rendered_images_are_rendered_once_and_late() -> None:
    calls: list[int] = []

    def render() -> np.ndarray:
        calls.append(1)
        return np.stack([np.full((4, 5, 3), value, dtype=np.uint8) for value in (7, 9)])

    images = RenderedImages(render, 2)
    assert (len(images), calls) == (2, [])
    assert images.pixels(1).getpixel((0, 0)) == (9, 9, 9)
    assert (images.pixels(0).size, images.pixels(0).mode) == ((5, 4), "RGB")
    assert calls == [1]


def test_a_stamp_tells_a_replaced_picture_and_another_folder(tmp_path: Path) -> None:
    stamps = []
    for folder, side in (("a", 8), ("a", 9), ("b", 9)):
        (tmp_path / folder).mkdir(exist_ok=True)
        Image.new("RGB", (side, side)).save(tmp_path / folder / "x.bmp")
        stamps.append(FileImages(tmp_path / folder, ("x.bmp",)).stamp(0))
    assert len(set(stamps)) == 3
    assert FileImages(tmp_path, ("gone.png",)).stamp(0) == str(tmp_path / "gone.png")


def test_exif_rotation_is_followed_only_on_request(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    gradient(8, 6).save(tmp_path / "photo.png", exif=exif)
    stored, upright = decode(tmp_path / "photo.png"), decode(tmp_path / "photo.png", upright=True)
    np.testing.assert_array_equal(np.asarray(stored), np.asarray(gradient(8, 6)))
    np.testing.assert_array_equal(np.asarray(upright), np.rot90(np.asarray(stored), -1))
    store, turned = FileImages(tmp_path, ["photo.png"]), FileImages(tmp_path, ["photo.png"], upright=True)
    assert (store.pixels(0).size, turned.pixels(0).size) == ((8, 6), (6, 8))
    assert store.stamp(0) != turned.stamp(0)
