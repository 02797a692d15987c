"""DePT over its hosts: their presets, and what they keep of themselves."""

import tiny
import torch
from depts import dept, each_host

from promptarena.methods.dept_plus import DePTCoOp, DePTKgCoOp, DePTMaPLe, DePTPromptSRC


def test_presets_are_the_released_ones() -> None:
    presets = {kind: kind.preset(tiny.training_task("cross-dataset", is_source=True))[0] for kind in each_host.args[1]}
    assert (presets[DePTCoOp].ctx_init, presets[DePTCoOp].n_ctx) == ("", 16)
    assert presets[DePTKgCoOp].weight == 2.0
    assert presets[DePTMaPLe].prompt_depth == 9
    assert all(config.head_weight == 0.7 for config in presets.values())


def test_promptsrc_averages_its_prompts_and_nothing_else() -> None:
    learner = dept(DePTPromptSRC)
    before = learner.head.weight.detach().clone()
    recipe = DePTPromptSRC.preset(tiny.training_task())[1].model_copy(update={"epochs": 1})
    learner.end_epoch(1, recipe)
    assert learner.host.get_buffer("sum_of_text_prompts_0").any()
    assert torch.equal(learner.head.weight, before)
