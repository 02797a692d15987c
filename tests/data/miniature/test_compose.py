"""Pictures composed of concepts, styles and knobs."""

import numpy as np
import pytest
from miniature_options import options_of

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import load_card
from promptarena.benchmark.data.miniature import render as reader


def test_styles_are_taken_in_turn_within_a_class():
    options = options_of("things", knobs={"patterned": 0.0, "scale": [1.0, 1.0], "rotation": 0.0, "brightness": 0.0})
    options["concepts"], options["per_class"] = options["concepts"][:2], {"test": 4}
    pixels, labels = reader.render(options, "things", "test")
    assert labels.tolist() == [0] * 4 + [1] * 4
    centres = pixels[:4, 12:36, 12:36].astype(float)
    same_style = np.abs(centres[0] - centres[3]).mean()
    assert same_style < np.abs(centres[0] - centres[1]).mean()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "photos"}, "kind"),
        ({"per_class": {"test": 0}}, "per_class"),
        ({"knobs": {"scael": [0.5, 1.0]}}, "scael"),
        ({"knobs": {"scale": [1.0, 0.5]}}, "scale"),
        ({"knobs": {"occluded": 1.5}}, "occluded"),
        ({"styles": ["notos"]}, "unknown image style 'notos'"),
        ({"styles": ["flag"]}, "draws concept"),
        ({"surplus": 1}, "surplus"),
    ],
)
def test_bad_options_are_reported_in_one_line(changes, message):
    with pytest.raises(UserError, match=message) as caught:
        reader.render(options_of("plants", **changes), "plants", "test")
    assert "\n" not in str(caught.value)


def test_a_split_that_does_not_exist_is_named():
    with pytest.raises(UserError, match="'things-v2' has no train split; it has test"):
        reader.render(load_card("things-v2").options, "things-v2", "train")
