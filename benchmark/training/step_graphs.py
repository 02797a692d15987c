"""Training steps that are recorded once per shape and then replayed, on a GPU as CUDA graphs.

What is recorded is a step's forward and backward pass: hundreds of small kernels, which one launch starts. The images'
inputs are computed before it and copied to where the record reads them; so is everything that is drawn at random. The
optimiser, the limit of the gradients and the loss scale stay outside: they are a few kernels, read the learning rate
from the host, and keep the state that a checkpoint holds, so that figures do not depend on the recording.

A step is recorded when it was carried out WARM_UP times with images of this shape. These are ordinary steps of the
training: nothing is computed only to warm up, so there is nothing to take back.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from promptarena.benchmark.core.errors import message_of
from promptarena.benchmark.plugins.learner import Images
from promptarena.benchmark.training.checkpoint import NOT_RECORDED, GraphUse
from promptarena.benchmark.training.given_inputs import asked_of, given, noting

WARM_UP = 3
"""Steps of a shape before it is recorded; torch asks for three, in which libraries choose their kernels."""

Terms = Mapping[str, Tensor]
Step = Callable[[Images, Tensor], Terms]
"""Images and labels to values by name. It sets the gradients of the parameters anew."""


class Recorder(Protocol):
    """How steps are recorded."""

    def warm_up(self, step: Callable[[], Terms]) -> Terms:
        """Carry out a step as it stands, where it will be recorded."""

    def capture(self, step: Callable[[], Terms]) -> tuple[Terms, Callable[[], None]]:
        """Record a step. Returns where its values will lie, and what computes them from the tensors that the step
        read, which may have other values then. The step itself need not have been computed."""


class CudaGraphs:
    """Records steps as CUDA graphs, which share their memory.

    Args:
        device: The CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # Warm-up and capture on one stream: cuBLAS makes its workspace at the first product on a stream.
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, step: Callable[[], Terms]) -> Terms:
        """Carry out a step on the stream on which it will be recorded."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            terms = step()
        current.wait_stream(self._stream)
        return terms

    def capture(self, step: Callable[[], Terms]) -> tuple[Terms, Callable[[], None]]:
        """Record a step; nothing is computed."""
        graph = torch.cuda.CUDAGraph()
        # The outer stream is set back even where a failed capture leaves torch's own on. "thread_local": what other
        # threads of the process do is no matter of this step.
        with (
            torch.cuda.stream(self._stream),
            torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"),
        ):
            terms = step()
        return terms, graph.replay


@dataclass(frozen=True)
class _Captured:
    """A recorded step: the tensors that it reads, those that it writes, and what computes it."""

    inputs: Mapping[str, Tensor]
    labels: Tensor
    terms: Terms
    gradients: Sequence[Tensor | None]
    replay: Callable[[], None]


class StepGraphs:
    """The steps of one training.

    Args:
        recorder: How they are recorded.
        learner: The learner whose `training_step` is carried out.
        parameters: The tensors that get gradients.

    Attributes:
        replayed: Steps that were replayed.
        refused: Why steps are not recorded, in one line; empty when they are.
    """

    def __init__(self, recorder: Recorder, learner: nn.Module, parameters: Sequence[Tensor]) -> None:
        self._recorder = recorder
        self._learner = learner
        self._parameters = parameters
        self.replayed = 0
        self.refused = ""
        self.forget()

    def forget(self) -> None:
        """Forget what was recorded; needed where a step gets other tensors, such as a new loss scale."""
        self._seen: dict[torch.Size, int] = {}
        self._asked: dict[torch.Size, list[str]] = {}
        self._captured: dict[torch.Size, _Captured] = {}
        self._state: object = None

    def begin_epoch(self) -> None:
        """Forget what was recorded if the learner was changed since, as by its own hooks between epochs."""
        if self._captured and self._standing() != self._state:
            self.forget()

    def __call__(self, step: Step, images: Images, labels: Tensor) -> Terms:
        """Carry out a step: as it stands at first, and later by replaying.

        Args:
            step: The forward and backward pass; the same in every call.
            images: The batch.
            labels: Its labels, of which the shape says which record fits.

        Returns:
            What the step returns, to be read before the next one. The gradients of the parameters are set.
        """
        shape = labels.shape
        if self.refused:
            return step(images, labels)
        if shape not in self._captured:
            seen = self._seen[shape] = self._seen.get(shape, 0) + 1
            if seen <= WARM_UP:
                return self._warmed_up(step, images, labels, last=seen == WARM_UP)
            try:
                self._captured[shape] = self._capture(step, images, labels)
            except Exception as error:  # whatever CUDA, torch or a method raises; without a record it still runs
                self._refuse(f"{type(error).__name__}: {message_of(error)}")
                return step(images, labels)
        captured = self._captured[shape]
        for what, tensor in captured.inputs.items():
            tensor.copy_(asked_of(images, what))
        captured.labels.copy_(labels)
        captured.replay()
        for parameter, gradient in zip(self._parameters, captured.gradients, strict=True):
            parameter.grad = gradient
        self.replayed += 1
        return captured.terms

    def _warmed_up(self, step: Step, images: Images, labels: Tensor, *, last: bool) -> Terms:
        asked: list[str] = []
        before = self._standing() if last else None
        terms = self._recorder.warm_up(lambda: step(noting(images, asked), labels))
        self._asked[labels.shape] = asked
        # A replay computes what was recorded, and runs no Python: a count that a step keeps would stand still. In the
        # first steps a learner may fill in what it keeps for later ones.
        if last and self._standing() != before:
            self._refuse("its step changes the learner's own attributes, or draws at random")
        return terms

    def _capture(self, step: Step, images: Images, labels: Tensor) -> _Captured:
        inputs = {what: asked_of(images, what).clone() for what in self._asked[labels.shape]}
        own, shown = labels.clone(), given(inputs, len(images))
        terms, replay = self._recorder.capture(lambda: step(shown, own))
        self._state = self._standing()
        return _Captured(inputs, own, terms, [parameter.grad for parameter in self._parameters], replay)

    def _refuse(self, reason: str) -> None:
        self.forget()
        self.refused = " ".join(reason.split())

    def _standing(self) -> object:
        """All that a step may read besides its arguments, to see whether it has changed: plain values, where tensors
        lie, the states of generators."""
        return [_described(tensor) for tensor in self._parameters], {
            name: {key: _described(value) for key, value in vars(module).items() if key not in _OF_MODULES}
            | {key: _described(value) for key, value in module.named_parameters(recurse=False)}
            | {key: _described(value) for key, value in module.named_buffers(recurse=False)}
            for name, module in self._learner.named_modules()
        }


def graph_use(graphs: StepGraphs | None) -> GraphUse:
    """What a checkpoint says of a training's recorded steps; `None` has none."""
    return GraphUse(graphs.replayed, graphs.refused) if graphs else NOT_RECORDED


_OF_MODULES = frozenset(vars(nn.Module())) - {"training"}


def _described(value: Any) -> object:
    """A value that equals another when a step finds the same."""
    if isinstance(value, Tensor):
        return value.data_ptr(), value.shape, value.stride(), value.dtype, value.requires_grad
    if isinstance(value, torch.Generator):
        return value.get_state().numpy().tobytes()
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state)
    if isinstance(value, bool | int | float | str | bytes | None):
        return repr(value)
    if isinstance(value, Mapping):
        return [(_described(key), _described(each)) for key, each in value.items()]
    if isinstance(value, list | tuple | set | frozenset):
        return [_described(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return [(key, _described(each)) for key, each in vars(value).items()]
    return id(value)
