"""From stored images to RGB: decoding files, and the stores that give a split's images by position.

Images are decoded as in CoOp and its successors: Pillow's `convert("RGB")` and nothing else. So the EXIF orientation is
not applied unless the dataset's card asks for it, an alpha channel is dropped (not blended over white), and 16-bit
values above 255 are clipped.
"""

import struct
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from promptarena.benchmark.core.errors import UserError, first_line
from promptarena.benchmark.core.files import require_regular

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
"""File name endings, in lower case, of images in a dataset's folder."""

ALL_EXTENSIONS = EXTENSIONS | {".gif", ".tif", ".tiff", ".ppm", ".pgm", ".jp2", ".jpe", ".jfif"}
"""Those of images in a folder that is classified: all that can be decoded."""

_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000")
"""Allowed formats, whatever a file's name says. Pillow would pass others, such as EPS, to external programs."""

_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, Image.DecompressionBombError)

PixelArray = npt.NDArray[np.uint8]

# Only pixels are read, and public datasets contain images with broken metadata. Set here, the filter applies to every
# thread; `warnings.catch_warnings` is not thread-safe.
warnings.filterwarnings("ignore", module=r"PIL\.")


class ImageStore(Protocol):
    """The images of one split, by their position in it."""

    def __len__(self) -> int:
        """The number of images."""
        ...

    def pixels(self, index: int) -> Image.Image:
        """Image `index` in mode RGB, at its stored size. Raises UserError when its file cannot be decoded."""
        ...

    def stamp(self, index: int) -> str:
        """A text that changes when the image's file may have changed. It enters keys of caches, not of runs."""
        ...


@dataclass(frozen=True)
class FileImages:
    """Images in files `folder / key`, decoded at every use; `upright`: turned as their EXIF orientation says."""

    folder: Path
    keys: Sequence[str]
    upright: bool = False

    def __len__(self) -> int:
        return len(self.keys)

    def pixels(self, index: int) -> Image.Image:
        """Image `index`, decoded."""
        return decode(self.folder / self.keys[index], self.upright)

    def stamp(self, index: int) -> str:
        """The file's path, size and modification time; only the path if the file is missing. What is kept of an image
        is not used for the same image turned upright."""
        path = self.folder / self.keys[index]
        try:
            status = path.stat()
        except OSError:
            return str(path.absolute())
        return f"{path.absolute()}:{status.st_size}:{status.st_mtime_ns}{':upright' if self.upright else ''}"


class RenderedImages:
    """Images drawn by the program: `render()`, called at first use, returns all of them, (count, H, W, 3) uint8."""

    def __init__(self, render: Callable[[], PixelArray], count: int) -> None:
        self._render = render
        self._count = count

    def __len__(self) -> int:
        return self._count

    def pixels(self, index: int) -> Image.Image:
        """A copy of image `index`."""
        return Image.fromarray(self._images[index])

    @cached_property
    def _images(self) -> PixelArray:
        return self._render()

    def stamp(self, index: int) -> str:
        """Empty: the key of a rendered image decides its pixels."""
        return ""


_ORIENTATION = 0x0112
"""EXIF's number of the entry that says how a viewer turns an image; 1: not at all."""


def shown_otherwise(path: Path) -> str:
    """How a viewer's image of a file differs from that of `decode`.

    Args:
        path: The file.

    Returns:
        "turned by EXIF", "16 bits a channel", or nothing, also where the file cannot be decoded.
    """
    try:
        with Image.open(path, formats=_FORMATS) as stored:
            if stored.getexif().get(_ORIENTATION, 1) in range(2, 9):
                return "turned by EXIF"
            return "16 bits a channel" if stored.mode.startswith("I") else ""
    except _DAMAGED:
        return ""


def decode_as_shown(path: Path) -> Image.Image:
    """Decode an image file as viewers show it: turned upright, 16 bits scaled to 8, on white where it is transparent.

    Args:
        path: The file.

    Returns:
        The image in mode RGB; the first one of an animation.

    Raises:
        UserError: As `decode` does.
    """
    require_regular(path)
    try:
        with Image.open(path, formats=_FORMATS) as stored:
            image = ImageOps.exif_transpose(stored)
            if image.mode.startswith("I"):
                deep = np.asarray(image).astype(np.float64).clip(0, 65535)
                image = Image.fromarray((deep / 257).round().astype(np.uint8))
            if image.has_transparency_data:
                clear = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
            return image.convert("RGB")
    except _DAMAGED as error:
        raise _undecodable(path, error) from error


def _undecodable(path: Path, error: Exception) -> UserError:
    return UserError(f"image {path} cannot be decoded ({first_line(error)}); replace the file")


def decode(path: Path, upright: bool = False) -> Image.Image:
    """Decode an image file.

    Args:
        path: The file.
        upright: Whether to turn the image as its EXIF orientation says.

    Returns:
        The image in mode RGB, at its stored size; turned upright, width and height may change places.

    Raises:
        UserError: The file is missing, truncated, not an image, or larger than Pillow's limit against decompression
            bombs; the message names the file.
    """
    require_regular(path)
    try:
        with Image.open(path, formats=_FORMATS) as stored:
            image = ImageOps.exif_transpose(stored) if upright else stored
            if image.mode == "P" and "transparency" in image.info:
                return image.convert("RGBA").convert("RGB")
            return image.convert("RGB")
    except _DAMAGED as error:
        raise _undecodable(path, error) from error
