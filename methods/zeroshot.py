"""Zero-shot CLIP: nothing is learned."""

from dataclasses import replace
from typing import Any

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from promptarena.benchmark.backbone.clip import Prompts
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.plugins.learner import About, Config, Learner
from promptarena.benchmark.plugins.templates import SELECT_7, Template


class ZeroShotConfig(Config):
    """Prompt templates."""

    templates: tuple[Template, ...] = Field((), description="an ensemble; none: the dataset's own template alone")


class ZeroShot(Learner):
    """Zero-shot CLIP.

    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021.

    With image feature f = I / |I| (B, D) and class feature g_c (C, D),

        logits = s f g^T,    g_c = n( 1/K sum_t n(T_t,c) ),    n(x) = x / |x|

    where T_t,c is the text feature of template t filled with the name of class c and s = exp(logit_scale). With one
    template this is the plain normalised text feature.
    """

    about = About(
        "CLIP (zero-shot)",
        "Learning Transferable Visual Models From Natural Language Supervision",
        "ICML",
        2021,
        "https://arxiv.org/abs/2103.00020",
        parity="golden",
    )
    config_type = ZeroShotConfig
    seeded = False
    config: ZeroShotConfig

    def prompts(self, classes: Classes) -> list[Prompts]:
        """One tokenised set of C prompts for each template."""
        texts = [classes.filled(template) for template in self.templates(classes)]
        return [self.backbone.prompts(filled) for filled in texts]

    def templates(self, classes: Classes) -> tuple[str, ...]:
        """The templates to fill with these classes."""
        return self.config.templates or (classes.template,)

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D): the mean over templates of the normalised text features; one template is left as it is."""
        if len(prompts) == 1:
            return self.backbone.encode_text(prompts[0])
        normalised = [F.normalize(self.backbone.encode_text(texts), dim=-1) for texts in prompts]
        return sum(normalised[1:], normalised[0]) / len(normalised)


class ZeroShotEnsembleConfig(ZeroShotConfig):
    """Prompt templates of the ensemble."""

    templates: tuple[Template, ...] = Field(SELECT_7, min_length=1, description="used for every dataset")
    with_own: bool = Field(True, description="add the dataset's own template, except for imagenet")


class ZeroShotEnsemble(ZeroShot):
    """Zero-shot CLIP with several templates.

    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021.

    The ensemble of `ZeroShot` over 7 templates that were chosen for ImageNet and, on any other dataset, the dataset's
    own as the 8th.
    """

    about = replace(ZeroShot.about, title="CLIP (zero-shot, ensemble)", parity="properties")
    config_type = ZeroShotEnsembleConfig
    config: ZeroShotEnsembleConfig

    def templates(self, classes: Classes) -> tuple[str, ...]:
        """The configured templates, then the dataset's own unless it is among them."""
        own = () if classes.dataset == "imagenet" or not self.config.with_own else (classes.template,)
        return tuple(dict.fromkeys((*self.config.templates, *own)))
