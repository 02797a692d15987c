"""Retrieval by an attribute: which images of a folder share the colour, shape, ... of a query, by a learner's features.

Shapes: B images of a batch, N images of the folder, D the joint embedding size.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.head_roles import ATTRIBUTES
from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.keys import file_digest
from promptarena.benchmark.data.images import decode
from promptarena.benchmark.heads.images import Folder
from promptarena.benchmark.inputs.array_cache import ArrayCache, default_cache_folder
from promptarena.benchmark.inputs.views import ImageList, View
from promptarena.benchmark.plots.style import Format, rendered
from promptarena.benchmark.plugins.learner import Images

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BATCH = 32
PLAIN = "plain CLIP"
"""Name of the ranking by the image feature of frozen CLIP."""

FORMATS: tuple[Format, ...] = ("png", "svg")
SIDE = 160
"""Longer side of an image in the figure, in pixels."""

NAME_CHARACTERS = 20
Progress = Callable[[int, int], None]
"""Called with the number of images that are done and their total."""


@runtime_checkable
class SeesAttributes(Protocol):
    """A learner with an image feature for each attribute."""

    def attribute_features(self, images: Images) -> Tensor:
        """(B, A, D) normalised, in the order of the learner's `attributes`; of the paper's five if it names none."""
        ...


def attributes_of(learner: SeesAttributes) -> tuple[str, ...]:
    """The attributes that a learner sees, in the order of its features."""
    return tuple(getattr(learner, "attributes", ATTRIBUTES))


class OneImage:
    """A file as a list of one image. Raises UserError when it cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.digest = file_digest(path)
        self.stamp = ""

    def __len__(self) -> int:
        return 1

    def key(self, index: int) -> str:
        """The file's name."""
        return self.path.name

    def image(self, index: int) -> Image.Image:
        """The image as RGB. Raises UserError when it cannot be decoded."""
        return decode(self.path)


@dataclass(frozen=True)
class Neighbour:
    """An image, by its path below the folder, and its cosine with the query."""

    name: str
    cosine: float


@dataclass(frozen=True)
class Retrieval:
    """The images nearest to a query, nearest first: by the feature of one attribute, and by frozen CLIP's.

    query, pictures: SHA-256 of the query's file and of all images with their order. compared: how many images.
    """

    attribute: str
    query_name: str
    query: str
    pictures: str
    compared: int
    by_attribute: tuple[Neighbour, ...]
    by_clip: tuple[Neighbour, ...]

    def text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


def retrieve(
    backbone: Backbone,
    learner: SeesAttributes,
    query: Path,
    folder: Path,
    attribute: str,
    top: int,
    progress: Progress = lambda done, total: None,
) -> Retrieval:
    """The `top` images below `folder` that are nearest to the query, which itself is not counted.

    The nearest image has the largest cosine; ties are broken by path. Raises UserError when an image is missing or
    cannot be decoded, or when the learner was trained without attribute tokens or does not see the attribute.
    """
    if attribute not in attributes_of(learner):
        raise unknown("attribute", attribute, attributes_of(learner))
    query_image, folder_images = OneImage(query), find_images(folder)
    rows = [row for row in range(len(folder_images)) if not (folder / folder_images.key(row)).samefile(query)]
    if not rows:
        raise UserError(f"folder {folder} holds no other image than the query")
    ones = features(backbone, learner, query_image, [0], attribute)
    manys = features(backbone, learner, folder_images, rows, attribute, progress)

    def nearest(one: Tensor, many: Tensor) -> tuple[Neighbour, ...]:
        cosines = [round(cosine, 6) for cosine in (many @ one[0]).tolist()]
        places = sorted(range(len(rows)), key=lambda place: (-cosines[place], place))
        return tuple(Neighbour(folder_images.key(rows[place]), cosines[place]) for place in places[:top])

    by_attribute, by_clip = (nearest(one, many) for one, many in zip(ones, manys, strict=True))
    return Retrieval(attribute, query.name, query_image.digest, folder_images.digest, len(rows), by_attribute, by_clip)


def find_images(folder: Path) -> Folder:
    """All images below a folder. Raises UserError when there is no such folder or it holds none."""
    if not folder.is_dir():
        raise UserError(f"--folder {folder}: no such folder")
    return Folder(folder, sys.maxsize)


def features(
    backbone: Backbone,
    learner: SeesAttributes,
    folder_images: ImageList,
    rows: Sequence[int],
    attribute: str,
    progress: Progress = lambda done, total: None,
) -> tuple[Tensor, Tensor]:
    """(N, D) float32, normalised, of these rows: the attribute's features, and frozen CLIP's.

    Raises UserError when an image cannot be decoded, or when the learner was trained without attribute tokens.
    """
    view = View(folder_images, backbone, ArrayCache(default_cache_folder()))
    own, plain = [], []
    for start in range(0, len(rows), BATCH):
        batch = view.plain(rows[start : start + BATCH])
        with torch.inference_mode(), backbone.autocast():
            found = learner.attribute_features(batch).float()
        if found.shape[1] != len(attributes_of(learner)):
            raise UserError("this learner was trained without attribute tokens; give a run with them")
        own.append(found[:, attributes_of(learner).index(attribute)])
        plain.append(F.normalize(batch.features, dim=-1))
        progress(start + len(batch), len(rows))
    return torch.cat(own), torch.cat(plain)


def figures(retrieval: Retrieval, query: Path, folder: Path) -> dict[str, bytes]:
    """The figure as file name -> content; the same retrieval gives the same bytes with the same matplotlib."""
    figure = drawn(retrieval, query, folder)
    return {f"retrieval.{format}": rendered(figure, format) for format in FORMATS}


def drawn(retrieval: Retrieval, query: Path, folder: Path) -> "Figure":
    """The query on the left; on its right the nearest by the attribute, below them those by plain CLIP."""
    from matplotlib.figure import Figure

    rankings: Mapping[str, Sequence[Neighbour]] = {
        f"by {retrieval.attribute}": retrieval.by_attribute,
        f"by {PLAIN}": retrieval.by_clip,
    }
    columns = len(retrieval.by_attribute)
    figure = Figure(figsize=(2.2 + 1.3 * columns, 3.7), layout="constrained")
    grid = figure.add_gridspec(2, columns + 1, width_ratios=[1.4] + [1.0] * columns)
    _show(figure.add_subplot(grid[:, 0]), query, "query", retrieval.query_name)
    for row, (name, neighbours) in enumerate(rankings.items()):
        for column, neighbour in enumerate(neighbours):
            axes = figure.add_subplot(grid[row, column + 1])
            _show(axes, folder / neighbour.name, f"{column + 1}:  {neighbour.cosine:.3f}", neighbour.name)
            if column == 0:
                axes.set_ylabel(name, fontsize=10)
    return figure


def _show(axes: "Axes", path: Path, title: str, name: str) -> None:
    image = decode(path)
    image.thumbnail((SIDE, SIDE))
    axes.imshow(image)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(name if len(name) <= NAME_CHARACTERS else f"…{name[1 - NAME_CHARACTERS :]}", fontsize=6)
    for spine in axes.spines.values():
        spine.set_edgecolor("#9c8f80")
