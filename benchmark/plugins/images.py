"""Images as a method receives them: a batch, and the few-shot split of a training.

Shapes: B images of H x H pixels, C classes, D the joint embedding size, P patches of an image, W the width of the image
tower.
"""

from typing import Protocol

from torch import Tensor


class Images(Protocol):
    """A batch of B images. Each property is computed at its first use; outputs of the frozen towers may come from a
    cache."""

    def __len__(self) -> int: ...

    @property
    def pixels(self) -> Tensor:
        """(B, 3, H, H) float32, normalised."""

    @property
    def features(self) -> Tensor:
        """(B, D) float32, the output of the frozen image encoder, not normalised."""

    @property
    def second(self) -> "Images":
        """The same images under another draw of the augmentation; themselves where nothing is drawn."""

    def tokens_at(self, block: int) -> Tensor:
        """The tokens of the frozen image tower before a block.

        Args:
            block: The block, from 0; the tokens before block 0 are those after the first layer norm.

        Returns:
            (B, 1 + P, W) float32, the class token first.
        """


class Shots(Protocol):
    """The few-shot split of a training, for a learner that uses all images at once."""

    @property
    def train(self) -> Images:
        """All N training images under the test transform."""

    @property
    def train_labels(self) -> Tensor:
        """(N,) int64 in 0 .. C - 1."""

    @property
    def val(self) -> Images:
        """All validation images under the test transform; may be empty."""

    @property
    def val_labels(self) -> Tensor:
        """(M,) int64 in 0 .. C - 1, of the M validation images."""

    def augmented(self, index: int) -> Images:
        """All N training images under a random augmentation.

        Args:
            index: The number of the augmentation, from 1; index e is what the loop shows in epoch e.

        Returns:
            The augmented images; under the test transform when the recipe does not augment.
        """
