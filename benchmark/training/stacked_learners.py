"""Learners that differ in the seed only, stepped as one batched computation.

The parameters and buffers of S learners are stacked along a new first dimension, and `torch.vmap` runs the training
step of one learner over it. It is faster because a product with frozen weights takes the rows of all seeds at once.
Every seed has its own images and labels; its results equal those of a step alone up to rounding.
"""

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from promptarena.benchmark.plugins.learner import Images, Learner
from promptarena.benchmark.training.given_inputs import SECOND, Named, asked_of, given, noting

NO_SECOND = "a learner that uses a second view must not be `stackable`"


class Stacked:
    """S learners of one method, configuration and classes, whose class is `stackable`.

    Args:
        learners: The learners; their tensors are copied.

    Attributes:
        parameters: The stacked parameters by name, each (S, ...), with gradients.
        buffers: The stacked buffers by name, each (S, ...).
    """

    def __init__(self, learners: Sequence[Learner]) -> None:
        self._learners = learners
        shared = learners[0].backbone
        # A copy, since `functional_call` replaces its tensors; the backbone is frozen and large, so it is shared.
        self._step = _Step(copy.deepcopy(learners[0], {id(shared): shared}))
        self._asks: list[str] | None = None
        named = [dict(learner.named_parameters()) for learner in learners]
        self.parameters = {
            name: torch.stack([each[name].detach() for each in named]).requires_grad_() for name in named[0]
        }
        buffered = [dict(learner.named_buffers()) for learner in learners]
        self.buffers = {name: torch.stack([each[name] for each in buffered]) for name in buffered[0]}

    @property
    def learner(self) -> Learner:
        """The learner whose step is run for all seeds."""
        return self._step.learner

    def training_step(self, images: Images, labels: Tensor, prompts: Any) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The training step of all learners.

        Args:
            images: S batches of B images each, as `given_inputs.together` returns them.
            labels: (S, B) int64 in 0 .. C - 1.
            prompts: What `training_prompts` returned; the same for all seeds.

        Returns:
            Logits (S, B, C) and the loss terms by name, each (S,).
        """
        if self._asks is None:
            self._asks = self._asked(images, labels[0], prompts)
        inputs = {what: asked_of(images, what) for what in self._asks}
        tensors = {f"learner.{name}": tensor for name, tensor in (*self.parameters.items(), *self.buffers.items())}

        def one(own: dict[str, Tensor], shown: dict[str, Tensor], right: Tensor) -> Any:
            return functional_call(self._step, own, (shown, right, prompts))

        with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):  # fused attention cannot be batched
            warnings.filterwarnings("ignore", message="There is a performance drop")
            outcome: tuple[Tensor, Mapping[str, Tensor]] = torch.vmap(one)(tensors, inputs, labels)
        return outcome

    def backward(self, losses: Mapping[str, Tensor]) -> None:
        """Compute the gradients of `parameters`.

        Args:
            losses: The terms of `training_step`, each (S,).
        """
        # The sum over seeds gives each seed its own gradients, since no loss depends on the tensors of another seed.
        sum(term.sum() for term in losses.values()).backward()  # type: ignore[union-attr]

    @torch.no_grad()
    def clip_gradients(self, limit: float) -> None:
        """Limit the gradients of each seed on its own, with the formula of `torch.nn.utils.clip_grad_norm_`.

        Args:
            limit: The largest L2 norm of all gradients of a seed together.
        """
        gradients = [value.grad for value in self.parameters.values() if value.grad is not None]
        norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)
        factors = (limit / (norms + 1e-6)).clamp(max=1)
        for gradient in gradients:
            gradient.mul_(factors.view(-1, *(1 for _ in gradient.shape[1:])))

    @torch.no_grad()
    def hand_out(self) -> None:
        """Copy the stacked tensors into the learners."""
        for seed, learner in enumerate(self._learners):
            for name, tensor in (*learner.named_parameters(), *learner.named_buffers()):
                tensor.copy_((self.parameters | self.buffers)[name][seed])

    @torch.no_grad()
    def collect(self) -> None:
        """Copy the learners' tensors into the stacked ones."""
        for seed, learner in enumerate(self._learners):
            for name, tensor in (*learner.named_parameters(), *learner.named_buffers()):
                (self.parameters | self.buffers)[name][seed].copy_(tensor)

    def _asked(self, images: Images, labels: Tensor, prompts: Any) -> list[str]:
        """The inputs that a step uses: those requested by a trial step, whose result is discarded.

        `torch.vmap` needs tensors as inputs, so they must be known before the real step.
        """
        asked: list[str] = []
        first = Named(len(images), lambda what: asked_of(images, what)[0])
        with torch.no_grad():
            self._step.learner.training_step(noting(first, asked), labels, prompts)
        if any(what.startswith(SECOND) for what in asked):
            raise NotImplementedError(NO_SECOND)
        return asked


class _Step(nn.Module):
    """A learner's training step as a module, so that `functional_call` can replace the learner's tensors."""

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self.learner = learner

    def forward(self, shown: Mapping[str, Tensor], labels: Tensor, prompts: Any) -> Any:
        return self.learner.training_step(given(shown, len(labels)), labels, prompts)
