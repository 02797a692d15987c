"""A CLIP of which some weights are trained, while all others stay the frozen ones, shared and not copied."""

import copy
from collections.abc import Callable

from torch import nn

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.errors import UserError


def trainable(backbone: Backbone, chosen: Callable[[str], bool]) -> tuple[Backbone, nn.ParameterDict]:
    """A backbone that shares the frozen weights and owns copies of the chosen ones.

    Args:
        backbone: the frozen CLIP. It is left as it is.
        chosen: whether a weight is trained, by its name in the model's `named_parameters()`.

    Returns:
        The partly trained backbone, with the frozen one's name and digest, and its trained weights by name, with "/" in
        place of ".". A learner assigns them to an attribute, so that they alone are trained and saved.

    Raises:
        UserError: no weight is chosen.
    """
    frozen = backbone.model
    names = [name for name, _ in frozen.named_parameters() if chosen(name)]
    if not names:
        raise UserError(f"backbone {backbone.name} has none of the weights that this method trains; use a CLIP ViT")
    weights = dict(frozen.named_parameters())
    own = {name: nn.Parameter(weights[name].detach().clone()) for name in names}
    # What `memo` maps is not copied: a frozen weight to itself, a chosen one to its own copy.
    memo: dict[int, object] = {id(tensor): tensor for tensor in (*weights.values(), *frozen.buffers())}
    memo |= {id(weights[name]): parameter for name, parameter in own.items()}
    partly = Backbone(
        copy.deepcopy(frozen, memo),
        backbone.name,
        backbone.digest,
        backbone.device,
        backbone.precision,
        backbone.mean,
        backbone.std,
        backbone.origin,
        backbone.accelerations,
        backbone.compile_backend,
    )
    for parameter in own.values():
        parameter.requires_grad_(True)
    return partly, nn.ParameterDict({name.replace(".", "/"): parameter for name, parameter in own.items()})
