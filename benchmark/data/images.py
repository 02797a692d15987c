"""From stored pictures to RGB: decoding files, and the stores that give a split's pixels by position.

Decoding is the field's: Pillow's `convert("RGB")` and nothing else. So the EXIF orientation is not applied, an alpha
channel is dropped (not blended over white), and 16-bit values above 255 are clipped.
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
from PIL import Image

from promptarena.benchmark.core.errors import UserError, first_line

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
"""File name endings, in lower case, of what counts as a picture in a folder."""

_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000")
"""What a picture may be whatever its name says; Pillow would hand others, such as EPS, to outside programs."""

_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, Image.DecompressionBombError)

PixelArray = npt.NDArray[np.uint8]

# Only pixels are read, and public datasets hold pictures with broken metadata; a filter here holds in every thread.
warnings.filterwarnings("ignore", module=r"PIL\.")


class ImageStore(Protocol):
    """The pictures of one split, by their position in it."""

    def __len__(self) -> int:
        """How many pictures there are."""
        ...

    def pixels(self, index: int) -> Image.Image:
        """Picture `index` in mode RGB, at its stored size. Raises UserError when its file cannot be decoded."""
        ...

    def stamp(self, index: int) -> str:
        """What changes when the picture behind its key may have: a cache's concern, not a run's."""
        ...


@dataclass(frozen=True)
class FileImages:
    """Pictures in files `folder / key`, decoded each time they are asked for."""

    folder: Path
    keys: Sequence[str]

    def __len__(self) -> int:
        return len(self.keys)

    def pixels(self, index: int) -> Image.Image:
        """Picture `index`, decoded."""
        return decode(self.folder / self.keys[index])

    def stamp(self, index: int) -> str:
        """The file's place, size and time of change; only the place of a file that is missing."""
        path = self.folder / self.keys[index]
        try:
            status = path.stat()
        except OSError:
            return str(path.absolute())
        return f"{path.absolute()}:{status.st_size}:{status.st_mtime_ns}"


class RenderedImages:
    """Pictures that a program draws: `render()`, called at the first use, gives all of them, (count, H, W, 3) uint8."""

    def __init__(self, render: Callable[[], PixelArray], count: int) -> None:
        self._render = render
        self._count = count

    def __len__(self) -> int:
        return self._count

    def pixels(self, index: int) -> Image.Image:
        """Picture `index`, a copy."""
        return Image.fromarray(self._pictures[index])

    @cached_property
    def _pictures(self) -> PixelArray:
        return self._render()

    def stamp(self, index: int) -> str:
        """Nothing: the key of a drawn picture fixes its pixels."""
        return ""


def decode(path: Path) -> Image.Image:
    """The picture in a file, in mode RGB at its stored size.

    Raises UserError naming the file when it is missing, truncated, not a picture, or larger than Pillow's limit against
    decompression bombs.
    """
    try:
        with Image.open(path, formats=_FORMATS) as picture:
            if picture.mode == "P" and "transparency" in picture.info:
                return picture.convert("RGBA").convert("RGB")
            return picture.convert("RGB")
    except FileNotFoundError as error:
        raise UserError(f"picture {path} does not exist") from error
    except _DAMAGED as error:
        reason = first_line(error)
        raise UserError(f"picture {path} cannot be decoded ({reason}); replace the file") from error
