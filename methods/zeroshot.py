"""Zero-shot CLIP: nothing is learned."""

from typing import Any

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from promptarena.benchmark.backbone import Prompts
from promptarena.benchmark.method import About, Classes, Config, Learner


class ZeroShotConfig(Config):
    """Prompt templates."""

    templates: tuple[str, ...] = Field((), description="an ensemble; none: the dataset's own template alone")


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
        templates = self.config.templates or (classes.template,)
        return [self.backbone.embed(self.backbone.tokenize(classes.filled(template))) for template in templates]

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D): the mean over templates of the normalised text features; one template is left as it is."""
        if len(prompts) == 1:
            return self.backbone.encode_text(prompts[0])
        normalised = [F.normalize(self.backbone.encode_text(texts), dim=-1) for texts in prompts]
        return sum(normalised[1:], normalised[0]) / len(normalised)
