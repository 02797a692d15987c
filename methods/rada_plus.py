"""RAda joined to other learners: their features and losses, its mask on their similarity."""

from dataclasses import replace
from typing import Any

from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.methods.clip_adapter import CLIPAdapter, CLIPAdapterConfig
from promptarena.methods.coop import CoOp, CoOpConfig
from promptarena.methods.ivlp import IVLP, IVLPConfig
from promptarena.methods.maple import MaPLe, MaPLeConfig
from promptarena.methods.promptsrc import PromptSRC, PromptSRCConfig
from promptarena.methods.rada import RAda, Rational, RationalConfig

_ABOUT = replace(RAda.about, parity="properties", assumed=("the composition", "recipe of the other learner"))


class Joined(Rational):
    """A learner with RAda's mask, trained jointly: `class RAdaX(Joined, X)`."""

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[Any, Recipe]:
        """The other learner's configuration and recipe, with RAda's settings added."""
        config, recipe = super().preset(task)
        return cls.config_type(**dict(config)), recipe


class RAdaCoOpConfig(RationalConfig, CoOpConfig):
    """Context of CoOp and mask of RAda."""


class RAdaCoOp(Joined, CoOp):
    """RAda + CoOp.

    Chen et al., "One Last Attention for Your Vision-Language Model", ICCV 2025; Zhou et al., IJCV 2022.

    L = CE(s sum_d M * z * t, y) + a mean (M - 1)^2, where the class features t come from CoOp's learned context.
    """

    about = replace(_ABOUT, title="RAda + CoOp")
    config_type = RAdaCoOpConfig
    config: RAdaCoOpConfig


class RAdaIVLPConfig(RationalConfig, IVLPConfig):
    """Prompts of IVLP and mask of RAda."""


class RAdaIVLP(Joined, IVLP):
    """RAda + IVLP.

    Chen et al., "One Last Attention for Your Vision-Language Model", ICCV 2025.

    L = CE(s sum_d M * z * t, y) + a mean (M - 1)^2, where both z and t come from towers with deep prompts.
    """

    about = replace(_ABOUT, title="RAda + IVLP")
    config_type = RAdaIVLPConfig
    config: RAdaIVLPConfig


class RAdaMaPLeConfig(RationalConfig, MaPLeConfig):
    """Prompts of MaPLe and mask of RAda."""


class RAdaMaPLe(Joined, MaPLe):
    """RAda + MaPLe.

    Chen et al., "One Last Attention for Your Vision-Language Model", ICCV 2025; Khattak et al., CVPR 2023.

    L = CE(s sum_d M * z * t, y) + a mean (M - 1)^2, where z and t come from towers with coupled deep prompts.
    """

    about = replace(_ABOUT, title="RAda + MaPLe")
    config_type = RAdaMaPLeConfig
    config: RAdaMaPLeConfig


class RAdaPromptSRCConfig(RationalConfig, PromptSRCConfig):
    """Prompts and losses of PromptSRC and mask of RAda."""


class RAdaPromptSRC(Joined, PromptSRC):
    """RAda + PromptSRC.

    Chen et al., "One Last Attention for Your Vision-Language Model", ICCV 2025; Khattak et al., ICCV 2023.

    PromptSRC's loss with the student's logits s sum_d M * z * t, plus a mean (M - 1)^2. The teacher's logits have no
    mask, and the averaging over epochs takes the prompts alone.
    """

    about = replace(_ABOUT, title="RAda + PromptSRC")
    config_type = RAdaPromptSRCConfig
    config: RAdaPromptSRCConfig


class RAdaCLIPAdapterConfig(RationalConfig, CLIPAdapterConfig):
    """Adapter of CLIP-Adapter and mask of RAda."""


class RAdaCLIPAdapter(Joined, CLIPAdapter):
    """RAda + CLIP-Adapter.

    Chen et al., "One Last Attention for Your Vision-Language Model", ICCV 2025; Gao et al., IJCV 2024.

    L = CE(s sum_d M * z * t, y) + a mean (M - 1)^2, where z is the adapted image feature.
    """

    about = replace(_ABOUT, title="RAda + CLIP-Adapter", assumed=("the composition", "recipe of RAda"))
    config_type = RAdaCLIPAdapterConfig
    config: RAdaCLIPAdapterConfig

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[RAdaCLIPAdapterConfig, Recipe]:
        """CLIP-Adapter's configuration, RAda's recipe: the adapter's own rate would leave the mask where it starts."""
        return super().preset(task)[0], RAda.preset(task)[1]
