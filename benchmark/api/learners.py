"""The backbone alone, and learners that were trained: load one and classify any images with it."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from promptarena.benchmark.backbone import loading
from promptarena.benchmark.backbone.accelerations import Precision
from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.images import ALL_EXTENSIONS
from promptarena.benchmark.plugins.learner import Learner
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.benchmark.training.classifying import classify
from promptarena.benchmark.training.trained_learner import LEARNED, Learned
from promptarena.lookups import load_suite

if TYPE_CHECKING:
    import pandas as pd

Picked = str | Path | Image.Image


def load_backbone(
    suite: str | Path = "mini",
    *,
    architecture: str | Path | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    precision: Precision = "fp32",
) -> Backbone:
    """Load the frozen CLIP, without any method.

    Args:
        suite: The suite whose backbone is loaded, unless `architecture` is given.
        architecture: open_clip's name, or the path of a model configuration.
        weights: A pretrained tag of that architecture, or the path of a file; needed with `architecture`.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        precision: "fp32", "bf16" or "fp16".

    Returns:
        The backbone: `encode_texts`, `encode_images`, its towers, tokeniser and preprocessing.

    Raises:
        UserError: Something of it is unknown, missing or damaged.

    >>> load_backbone("mini", device="cpu").encode_texts(["a photo of a dog."]).shape
    torch.Size([1, 128])
    """
    if architecture is not None:
        if weights is None:
            raise UserError(f"load_backbone: give the weights of architecture {architecture}, a tag or a file")
        return loading.load_backbone(architecture, weights, device=device, precision=precision)
    source = load_suite(suite).backbone
    return loading.load_backbone(source.given_architecture, source.given_weights, device=device, precision=precision)


class TrainedLearner:
    """A learner that was trained, with its backbone.

    Attributes:
        learner: The learner, in evaluation mode.
        classes: The classes it was trained on.
        method: Its method's name.
        notes: What differs from the training and may change results, a line each.
    """

    def __init__(self, learner: Learner, classes: Classes, method: str, notes: Sequence[str]) -> None:
        self.learner = learner
        self.classes = classes
        self.method = method
        self.notes = tuple(notes)

    def __repr__(self) -> str:
        return f"<{self.method} trained on {len(self.classes)} classes of {self.classes.dataset or 'a dataset'}>"

    def predict(
        self,
        images: Picked | Iterable[Picked],
        classes: Sequence[str] | None = None,
        *,
        template: str | None = None,
        top: int = 1,
        as_shown: bool = False,
    ) -> "pd.DataFrame":
        """Classify images.

        Args:
            images: A file, a folder (all images in it and below), an image of Pillow, or several of these.
            classes: The names of C classes; None: those it was trained on.
            template: The prompt template with `{}` for the class name; None: that of the training.
            top: How many classes to give for each image, the most probable first.
            as_shown: Whether files are decoded as viewers show them: turned as EXIF says, 16 bits scaled to 8, on
                white where they are transparent. Else they are decoded as in an evaluation.

        Returns:
            One row per image and rank: image (the file's path, or its number), rank (from 1), class, label (the
            class's number), probability (softmax of the logits over the C classes).

        Raises:
            UserError: An image cannot be read, the classes are empty, or the method cannot score other classes.
        """
        import pandas as pd

        given = [*_listed(images)]
        named = self.classes
        if classes is not None or template is not None:
            named = Classes(tuple(classes or named.names), template or named.template, named.dataset)
        found = classify(self.learner, [image for _, image in given], named, top, as_shown=as_shown)
        for reason in found.unread.values():
            raise UserError(reason)
        rows = [(given[each.image][0], each.rank, each.name, each.label, each.probability) for each in found.guesses]
        return pd.DataFrame(rows, columns=["image", "rank", "class", "label", "probability"])


def load_learner(
    run: str | Path,
    *,
    suite: str | Path = "mini",
    results: str | Path = "results",
    tracking_uri: str | None = None,
    plugins: Sequence[str | Path] = (),
    device: str = "auto",
) -> TrainedLearner:
    """Load a trained learner.

    Args:
        run: A `learned.safetensors` file or its folder, or the id of a finished run in a record (`Results.frame` has it
            as run_id).
        suite: The suite that it was trained in, whose backbone it needs.
        results: The folder of the record.
        tracking_uri: The address of another MLflow store.
        plugins: Python files that define methods, if its method is in one.
        device: As in `load_backbone`.

    Returns:
        The learner.

    Raises:
        UserError: There is no such file or run, or the learner does not fit the backbone or its method.

    >>> load_learner("no-such-file.safetensors")
    Traceback (most recent call last):
    promptarena.benchmark.core.errors.UserError: ...
    """
    registry = load_registry([Path(path) for path in plugins])
    with tempfile.TemporaryDirectory() as folder:
        learned = Learned.load(learned_file(run, results, tracking_uri, folder))
    backbone = load_backbone(suite, device=device, precision=learned.origin.precision)
    learner = learned.learner(backbone, registry)
    origin = learned.origin
    return TrainedLearner(learner, origin.classes, origin.method, learned.changes(backbone, registry))


def learned_file(run: str | Path, results: str | Path, tracking_uri: str | None, folder: str) -> Path:
    """The file of a learner.

    Args:
        run: As in `load_learner`; so are `results` and `tracking_uri`.
        results: The folder of the record.
        tracking_uri: The address of another MLflow store.
        folder: Where the file of a recorded run is copied to.

    Returns:
        Its path.

    Raises:
        UserError: There is no such run.
    """
    inside = Path(run) / LEARNED
    path = inside if inside.is_file() else Path(run)
    return path if path.suffix == ".safetensors" else _fetched(str(run), results, tracking_uri, folder)


def _fetched(run: str, results: str | Path, tracking_uri: str | None, folder: str) -> Path:
    from promptarena.benchmark.recording.record import Record, RecordPlace

    record = Record.open_existing(RecordPlace(Path(results), tracking_uri))
    try:
        return record.artifact(run, LEARNED, Path(folder))
    except UserError as error:
        raise UserError(f"{error}; give the id of a finished run, or the path of a {LEARNED}") from error


def image_files(path: Path) -> list[Path]:
    """The images that a path stands for.

    Args:
        path: A file or a folder.

    Returns:
        The file; of a folder all images in it and below, in the order of their names: files with an ending of an
        image.

    Raises:
        UserError: The folder holds no images.
    """
    if not path.is_dir():
        return [path]
    inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in ALL_EXTENSIONS)
    if not inside:
        raise UserError(f"folder {path} holds no images ({', '.join(sorted(ALL_EXTENSIONS))})")
    return inside


def other_files(path: Path) -> list[Path]:
    """The files of a folder, and below it, that `image_files` leaves out; none for a file."""
    return [file for file in path.rglob("*") if file.is_file() and file.suffix.lower() not in ALL_EXTENSIONS]


def _listed(images: Picked | Iterable[Picked]) -> Iterable[tuple[str, Path | Image.Image]]:
    """The images with their names."""
    several = [images] if isinstance(images, str | Path | Image.Image) else list(images)
    for number, each in enumerate(several):
        if isinstance(each, Image.Image):
            yield str(number), each
        else:
            yield from ((str(file), file) for file in image_files(Path(each)))
