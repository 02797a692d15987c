"""Pictures as real datasets hold them: every mode, format and oddity, each as the bytes of a file."""

import io
import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from PIL import Image

_TURNED = 6
_ORIENTATION = 0x0112
_BROKEN_EXIF = b"Exif\0\0MM\0*" + struct.pack(">IHHHIH", 8, 5, 0x011A, 5, 1, 0)
"""A directory of five entries that ends within the first, as a camera's software left it."""


def noise(colour: tuple[int, int, int], size: tuple[int, int], seed: int = 0) -> Image.Image:
    """An RGB picture of (width, height) around a colour."""
    width, height = size
    drawn = np.random.default_rng(seed).normal(colour, 40, (height, width, 3))
    return Image.fromarray(drawn.clip(0, 255).astype(np.uint8))


def stored(picture: Image.Image, format: str, **options: object) -> bytes:
    """The file that Pillow makes of a picture."""
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def _turned(picture: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[_ORIENTATION] = _TURNED
    return stored(picture, "JPEG", exif=exif)


def _broken_exif(picture: Image.Image) -> bytes:
    whole = stored(picture, "JPEG")
    return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(_BROKEN_EXIF) + 2) + _BROKEN_EXIF + whole[2:]


def _deep(picture: Image.Image) -> bytes:
    return stored(Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 3), "PNG")


def _frames(picture: Image.Image, format: str) -> bytes:
    return stored(picture, format, save_all=True, append_images=[picture.rotate(180)])


KINDS: Mapping[str, Callable[[Image.Image], bytes]] = MappingProxyType(
    {
        "RGB": lambda picture: stored(picture, "JPEG"),
        "grayscale": lambda picture: stored(picture.convert("L"), "JPEG"),
        "CMYK": lambda picture: stored(picture.convert("CMYK"), "JPEG"),
        "progressive": lambda picture: stored(picture, "JPEG", progressive=True),
        "turned by EXIF": _turned,
        "broken EXIF": _broken_exif,
        "two pictures in one JPEG": lambda picture: _frames(picture, "MPO"),
        "16 bit": _deep,
        "1 bit": lambda picture: stored(picture.convert("1"), "PNG"),
        "gray with alpha": lambda picture: stored(picture.convert("LA"), "PNG"),
        "RGB with alpha": lambda picture: stored(_faded(picture), "PNG"),
        "RGB with one clear colour": lambda picture: stored(picture, "PNG", transparency=(1, 2, 3)),
        "palette": lambda picture: stored(picture.convert("P"), "PNG"),
        "palette with alpha": lambda picture: stored(picture.convert("P"), "PNG", transparency=bytes(range(256))),
        "palette with one clear colour": lambda picture: stored(picture.convert("P"), "PNG", transparency=3),
        "animated": lambda picture: _frames(picture, "GIF"),
        "BMP": lambda picture: stored(picture, "BMP"),
        "WebP": lambda picture: stored(_faded(picture), "WEBP", lossless=True),
        "TIFF": lambda picture: stored(picture.convert("CMYK"), "TIFF"),
    }
)
"""How a picture becomes a file of each kind."""


def _faded(picture: Image.Image) -> Image.Image:
    """The picture with half of it hardly visible."""
    alpha = Image.new("L", picture.size, 255)
    alpha.paste(7, (0, 0, picture.width // 2, picture.height))
    faded = picture.copy()
    faded.putalpha(alpha)
    return faded
