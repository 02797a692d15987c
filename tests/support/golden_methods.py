"""How a golden manifest's method reads here: its official configuration, parameter names, outputs and loss terms."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from promptarena.benchmark.plugins.learner import Images, Learner
from promptarena.methods.clip_adapter import CLIPAdapter, CLIPAdapterConfig
from promptarena.methods.cocoop import CoCoOp, CoCoOpConfig
from promptarena.methods.coop import CoOp, CoOpConfig
from promptarena.methods.ivlp import IVLP, IVLPConfig
from promptarena.methods.kgcoop import KgCoOp, KgCoOpConfig
from promptarena.methods.maple import MaPLe, MaPLeConfig
from promptarena.methods.mmrl import MMRL, MMRLConfig
from promptarena.methods.prograd import ProGrad, ProGradConfig
from promptarena.methods.promptsrc import PromptSRC, PromptSRCConfig
from promptarena.methods.rada import RAda, RAdaConfig
from promptarena.methods.tcp import TCP, TCPConfig
from promptarena.methods.vpt import VPT, VPTConfig

Official = Mapping[str, Any]
Outputs = dict[str, Tensor]


def plain_outputs(learner: Any, images: Images, prompts: Any) -> Outputs:
    """Features before normalisation, and logits."""
    return {
        "image_features": learner.image_features(images),
        "text_features": learner.text_features(prompts),
        "logits": learner.logits(images, learner.classifier(prompts)),
    }


def _cocoop_outputs(learner: Any, images: Images, prompts: Any) -> Outputs:
    features = F.normalize(images.features, dim=-1)
    return {
        "image_features": images.features,
        "text_features": learner.conditioned_features(features, prompts),
        "logits": learner.logits(images, learner.classifier(prompts)),
    }


def _rada_outputs(learner: Any, images: Images, prompts: Any) -> Outputs:
    features, classifier = F.normalize(images.features, dim=-1), learner.classifier(prompts)
    return plain_outputs(learner, images, prompts) | {
        "mask": learner.attention(features, classifier, learner.backbone.scale)
    }


def _mmrl_outputs(learner: Any, images: Images, prompts: Any) -> Outputs:
    text = learner.text_features(prompts)
    image, image_rep = learner.both_image_features(images)
    logits, logits_rep = learner.branches(images, F.normalize(text, dim=-1))
    a = learner.config.alpha
    return {
        "image_features": image,
        "image_features_rep": image_rep,
        "text_features": text,
        "logits": logits,
        "logits_rep": logits_rep,
        "logits_fusion": a * logits + (1 - a) * logits_rep,
    }


def _prior(learner: Any, images: Images, prompts: Any) -> Outputs:
    return {"teacher/text_features_normalized": prompts.w}


def _prograd_before(learner: Any, images: Images, prompts: Any) -> Outputs:
    return _prior(learner, images, prompts) | {"teacher/logits": learner.logits(images, prompts.w)}


def _tcp_before(learner: Any, images: Images, prompts: Any) -> Outputs:
    return _prior(learner, images, prompts) | {"class_aware_tokens": learner.class_aware(prompts.w)}


def _clip_adapter_before(learner: Any, images: Images, prompts: Any) -> Outputs:
    return {"frozen/image_features": images.features, "adapter/output": learner.adapter(images.features)}


@dataclass(frozen=True)
class Adapter:
    """A method's golden dialect. `losses` maps our loss terms to the official names; `base_logits` are those that the
    learner itself predicts base classes with; `before` gives further tensors before training, by their stored names;
    `prepare` puts draws of the official run in place of the learner's own; `later` are parameters that a later stage
    trains. With `partial` a case may train some of the parameters only: the others start as if they were not there."""

    learner: type[Learner]
    config: Callable[[Official], Any]
    rename: Callable[[str, Official], str]
    template: Callable[[Official], str] = lambda config: "a photo of a {}."
    outputs: Callable[[Any, Images, Any], Outputs] = plain_outputs
    losses: Callable[[Official, Mapping[str, Tensor]], Outputs] = lambda config, losses: {}
    base_logits: str = "logits"
    before: Callable[[Any, Images, Any], Outputs] = lambda learner, images, prompts: {}
    prepare: Callable[[Any, Official], None] = lambda learner, config: None
    later: frozenset[str] = frozenset()
    partial: bool = False


def _words(config: Official) -> str:
    return config.get("CTX_INIT") or ""


def _coop(config: Official) -> CoOpConfig:
    words = _words(config)
    return CoOpConfig(
        ctx_init=words,
        n_ctx=None if words else config["N_CTX"],
        class_token_position=config.get("CLASS_TOKEN_POSITION", "end"),
        class_specific=bool(config.get("CSC", False)) and not words,
    )


def _cocoop(config: Official) -> CoCoOpConfig:
    words = _words(config)
    return CoCoOpConfig(ctx_init=words, n_ctx=None if words else config["N_CTX"])


def _maple(config: Official) -> MaPLeConfig:
    return MaPLeConfig(n_ctx=config["N_CTX"], ctx_init=_words(config), prompt_depth=config["PROMPT_DEPTH"])


def _vpt(config: Official) -> VPTConfig:
    return VPTConfig(
        n_ctx=config["N_CTX_VISION"],
        prompt_depth=config["PROMPT_DEPTH_VISION"],
        ctx_init=_words(config) or "a photo of a",
    )


def _independent(config: Official) -> dict[str, Any]:
    return {
        "n_ctx_text": config["N_CTX_TEXT"],
        "n_ctx_vision": config["N_CTX_VISION"],
        "ctx_init": _words(config),
        "prompt_depth_text": config["PROMPT_DEPTH_TEXT"],
        "prompt_depth_vision": config["PROMPT_DEPTH_VISION"],
    }


def _promptsrc(config: Official) -> PromptSRCConfig:
    return PromptSRCConfig(
        **_independent(config),
        text_weight=config["TEXT_LOSS_WEIGHT"],
        image_weight=config["IMAGE_LOSS_WEIGHT"],
        gpa_mean=config["GPA_MEAN"],
        gpa_std=config["GPA_STD"],
        **({"teacher_templates": tuple(config["templates"])} if "templates" in config else {}),
    )


def _rada(config: Official) -> RAdaConfig:
    return RAdaConfig(alpha=config["ALPHA"], temperature=config["TEMP"], template=_rada_template(config))


def _rada_template(config: Official) -> str:
    return f"{_words(config) or 'a photo of a'} {{}}."


def _mmrl(config: Official) -> MMRLConfig:
    return MMRLConfig(
        n_rep_tokens=config["N_REP_TOKENS"],
        rep_layers=tuple(config["REP_LAYERS"]),
        rep_dim=config["REP_DIM"],
        alpha=config["ALPHA"],
        reg_weight=config["REG_WEIGHT"],
    )


def knowledge_guided(config: Official) -> dict[str, Any]:
    """KgCoOp's context: any words mean "a photo of a", and the class name is always last."""
    words = _words(config)
    return {
        "ctx_init": "a photo of a" if words else "",
        "n_ctx": None if words else config["N_CTX"],
        "class_specific": bool(config.get("CSC", False)) and not words,
    }


def _kgcoop(config: Official) -> KgCoOpConfig:
    return KgCoOpConfig(**knowledge_guided(config), weight=config["W"])


def _prograd(config: Official) -> ProGradConfig:
    phrase = config["template"].removesuffix(" {}.")
    return ProGradConfig(
        ctx_init=phrase if config["CTX_INIT"] else "",
        n_ctx=config["N_CTX"],
        class_token_position=config["CLASS_TOKEN_POSITION"],
        class_specific=config["CSC"],
        weight=config["LAMBDA"],
        temperature=config["T"],
    )


def _tcp(config: Official) -> TCPConfig:
    return TCPConfig(layer=config["LAYER"], weight=config["PRIOR_WEIGHT"])


def _clip_adapter(config: Official) -> CLIPAdapterConfig:
    return CLIPAdapterConfig(ratio=config["RATIO"], reduction=config["REDUCTION"])


def _template(config: Official) -> str:
    """The dataset's own template; the hand-written prompt of a method with a table of its own may be another."""
    return str(config.get("dataset_template", config["template"]))


def _context_name(official: str, config: Official) -> str:
    return official.removeprefix("prompt_learner.").replace("ctx", "context").replace("meta_net", "metanet")


def _maple_name(official: str, config: Official) -> str:
    if official == "prompt_learner.ctx":
        return "p.0"
    if official.startswith("prompt_learner.proj."):
        return "f.0." + official.rsplit(".", 1)[1]
    kind, index, *rest = official.removeprefix("prompt_learner.").split(".")
    layer = int(index) + 1
    return f"p.{layer}" if kind == "compound_prompts_text" else f"f.{layer}.{rest[0]}"


def _deep_name(official: str, config: Official) -> str:
    if official == "prompt_learner.ctx":
        return "text_prompts.0"
    tower = "vision_prompts" if official.startswith("image_encoder.") else "text_prompts"
    return f"{tower}.{official.split('.')[3] if 'resblocks' in official else 0}"


def _rada_name(official: str, config: Official) -> str:
    kind, tensor = official.removeprefix("mha.").split(".")
    names = {"q_proj1": "q1", "q_proj2": "q2", "q_proj3": "q3", "k_proj": "k", "v_proj": "v", "out_proj": "o"}
    return f"attention.{names[kind]}.{tensor}"


def _mmrl_name(official: str, config: Official) -> str:
    name = official.removeprefix("representation_learner.compound_rep_tokens")
    if name in ("", "image_encoder.proj_rep"):
        return "w_r" if name else "r"
    kind, layer, tensor = name.removeprefix("_r2").split(".")
    return f"f_{kind[0]}.{layer}.{tensor}"


def unweighted(losses: Mapping[str, Tensor], **terms: tuple[str, float]) -> Outputs:
    """Official terms, each from our weighted one and its weight; a term of weight 0 is not there."""
    return {official: losses[ours] / weight for official, (ours, weight) in terms.items() if weight}


def _promptsrc_losses(config: Official, losses: Mapping[str, Tensor]) -> Outputs:
    return {
        "ce": losses["cross_entropy"],
        "text_l1_weighted": losses["text_l1"],
        "image_l1_weighted": losses["image_l1"],
        "logit_kl_weighted": losses["logit_kl"],
    }


def _rada_losses(config: Official, losses: Mapping[str, Tensor]) -> Outputs:
    alpha = config["ALPHA"]
    return {"ce": losses["cross_entropy"]} | ({"mask_linf": losses["mask"] / alpha} if alpha else {})


def _mmrl_losses(config: Official, losses: Mapping[str, Tensor]) -> Outputs:
    alpha, weight = config["ALPHA"], config["REG_WEIGHT"]
    shares = {"ce_class": alpha, "ce_rep": 1 - alpha, "cos_image_reg": weight, "cos_text_reg": weight}
    names = {"cos_image_reg": "cos_image", "cos_text_reg": "cos_text"}
    return {term: losses[names.get(term, term)] / share for term, share in shares.items() if share}


def _kgcoop_losses(config: Official, losses: Mapping[str, Tensor]) -> Outputs:
    return {"ce": losses["cross_entropy"]} | unweighted(losses, knowledge=("knowledge", config["W"]))


def _prograd_losses(config: Official, losses: Mapping[str, Tensor]) -> Outputs:
    return {"xe": losses["cross_entropy"], "kl": losses["distillation"]}


def _tcp_losses(config: Official, losses: Mapping[str, Tensor]) -> Outputs:
    return {"ce": losses["cross_entropy"]} | unweighted(losses, prior=("prior", config["PRIOR_WEIGHT"]))


ADAPTERS = {
    "CoOp": Adapter(CoOp, _coop, _context_name),
    "CoCoOp": Adapter(CoCoOp, _cocoop, _context_name, outputs=_cocoop_outputs),
    "VPT": Adapter(VPT, _vpt, _deep_name),
    "IVLP": Adapter(IVLP, lambda config: IVLPConfig(**_independent(config)), _deep_name),
    "MaPLe": Adapter(MaPLe, _maple, _maple_name),
    "PromptSRC": Adapter(PromptSRC, _promptsrc, _deep_name, losses=_promptsrc_losses),
    "RAda": Adapter(RAda, _rada, _rada_name, _rada_template, _rada_outputs, _rada_losses),
    "KgCoOp": Adapter(KgCoOp, _kgcoop, _context_name, _template, losses=_kgcoop_losses, before=_prior),
    "ProGrad": Adapter(ProGrad, _prograd, _context_name, _template, losses=_prograd_losses, before=_prograd_before),
    "TCP": Adapter(TCP, _tcp, _context_name, _template, losses=_tcp_losses, before=_tcp_before),
    "CLIP-Adapter": Adapter(
        CLIPAdapter,
        _clip_adapter,
        lambda official, config: official.replace(".fc.", "."),
        _template,
        before=_clip_adapter_before,
    ),
    "MMRL": Adapter(
        MMRL,
        _mmrl,
        _mmrl_name,
        _template,
        _mmrl_outputs,
        _mmrl_losses,
        "logits_fusion",
    ),
}
