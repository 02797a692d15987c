"""DePT joined to other learners: their features and losses, and its head beside them."""

from dataclasses import replace
from typing import Any

from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.methods.coop import CoOp, CoOpConfig
from promptarena.methods.dept import DePT, DePTConfig
from promptarena.methods.kgcoop import KgCoOp, KgCoOpConfig
from promptarena.methods.maple import MaPLe, MaPLeConfig
from promptarena.methods.promptsrc import PromptSRC, PromptSRCConfig


class DePTCoOpConfig(DePTConfig, CoOpConfig):
    """Context of CoOp and head of DePT."""


class DePTCoOp(DePT):
    """DePT + CoOp.

    Zhang et al., "DePT: Decoupled Prompt Tuning", CVPR 2024; Zhou et al., IJCV 2022.

    L = (1 - w) CE(s n(f) n(g)^T, y) + w CE(h([v_y, u]), [y, y]), where g comes from CoOp's learned context.
    """

    about = replace(DePT.about, title="DePT + CoOp")
    host_type = CoOp
    config_type = DePTCoOpConfig

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[DePTCoOpConfig, Recipe]:
        """As released: 16 drawn vectors for every protocol."""
        return DePTCoOpConfig(ctx_init="", n_ctx=16), super().preset(task)[1]


class DePTKgCoOpConfig(DePTConfig, KgCoOpConfig):
    """Context and knowledge term of KgCoOp and head of DePT."""


class DePTKgCoOp(DePT):
    """DePT + KgCoOp.

    Zhang et al., "DePT: Decoupled Prompt Tuning", CVPR 2024; Yao, Zhang and Xu, CVPR 2023.

    L = (1 - w) CE(s n(f) n(g)^T, y) + w CE(h([v_y, u]), [y, y]) + lambda (1 - mean_c cos(g_c, w_c)), lambda = 2.
    """

    about = replace(DePT.about, title="DePT + KgCoOp")
    host_type = KgCoOp
    config_type = DePTKgCoOpConfig

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[DePTKgCoOpConfig, Recipe]:
        """As released: a quarter of KgCoOp's own weight."""
        return DePTKgCoOpConfig(weight=2.0), super().preset(task)[1]


class DePTMaPLeConfig(DePTConfig, MaPLeConfig):
    """Prompts of MaPLe and head of DePT."""


class DePTMaPLe(DePT):
    """DePT + MaPLe.

    Zhang et al., "DePT: Decoupled Prompt Tuning", CVPR 2024; Khattak et al., CVPR 2023.

    L = (1 - w) CE(s n(f) n(g)^T, y) + w CE(h([v_y, u]), [y, y]), where f and g come from towers with coupled prompts.
    """

    about = replace(DePT.about, title="DePT + MaPLe")
    host_type = MaPLe
    config_type = DePTMaPLeConfig

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[DePTMaPLeConfig, Recipe]:
        """As released: two tokens and nine layers for every protocol."""
        return DePTMaPLeConfig(), super().preset(task)[1]


class DePTPromptSRCConfig(DePTConfig, PromptSRCConfig):
    """Prompts and losses of PromptSRC and head of DePT."""


class DePTPromptSRC(DePT):
    """DePT + PromptSRC.

    Zhang et al., "DePT: Decoupled Prompt Tuning", CVPR 2024; Khattak et al., ICCV 2023.

    L = (1 - w) CE(s n(f) n(g)^T, y) + w CE(h([v_y, u]), [y, y]) + PromptSRC's other terms. The averaging over epochs
    takes the prompts alone.
    """

    about = replace(DePT.about, title="DePT + PromptSRC", parity="properties", assumed=("the whole recipe",))
    host_type = PromptSRC
    config_type = DePTPromptSRCConfig

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[Any, Recipe]:
        """PromptSRC's own recipe, whose averaging belongs to its epochs (assumed; no code was released)."""
        config, _ = super().preset(task)
        recipe = PromptSRC.preset(task)[1]
        return config, recipe.model_copy(update={"factors_in_warmup": False})
