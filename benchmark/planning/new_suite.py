"""A suite for a dataset of one's own: the smallest one that runs offline."""

from promptarena.benchmark.core.protocol_table import PROTOCOLS, protocol_info
from promptarena.benchmark.data.new_card import NewCard, toml_value

SMALLEST_FOR_HALVES = 4
"""Classes from which on both halves of base-to-novel have at least two."""

_TEXT = """name = {name}
title = {title}
datasets = [{dataset}]
{protocols}
# The small CLIP in the package: it works offline, and its figures are never comparable with published ones.
backbone = {{ pretrained = "mini" }}
# OpenAI's CLIP: put this line in place of the one above. Its weights (600 MB) are downloaded once.
# backbone = {{ architecture = "ViT-B-16-quickgelu", pretrained = "openai" }}
"""

_BY_SHOTS = """protocols = ["{protocol}"]  # two halves of the classes need four
few_shot_shots = [16]
"""


def new_suite(new: NewCard) -> tuple[str, str]:
    """The suite of one new dataset.

    Args:
        new: The dataset's card.

    Returns:
        The suite's name and the text of its file, which goes beside the card.
    """
    name = f"{new.card.name}-suite"
    classes = len(new.splits[0].class_names)
    by_shots = next(protocol for protocol in PROTOCOLS if protocol_info(protocol).by_shots)
    protocols = "" if classes >= SMALLEST_FOR_HALVES else _BY_SHOTS.format(protocol=by_shots)
    return name, _TEXT.format(
        name=f'"{name}"', title=toml_value(new.card.title), dataset=f'"{new.card.name}"', protocols=protocols
    )
