"""How the golden manifests of the methods inside and beside CLIP's blocks read here; see golden_methods."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from golden_methods import ADAPTERS as EARLIER
from golden_methods import (
    Adapter,
    Official,
    Outputs,
    _maple_name,
    _mmrl_losses,
    _mmrl_outputs,
    _template,
    knowledge_guided,
    plain_outputs,
    unweighted,
)
from torch import Tensor

from promptarena.benchmark.plugins.learner import Images
from promptarena.methods.atprompt import ATPromptConfig, ATPromptCoOp
from promptarena.methods.atprompt_maple import ATPromptMaPLe, ATPromptMaPLeConfig
from promptarena.methods.clip_lora import CLIPLoRA, CLIPLoRAConfig
from promptarena.methods.coprompt import CoPrompt, CoPromptConfig
from promptarena.methods.dept_plus import DePTKgCoOp, DePTKgCoOpConfig
from promptarena.methods.mma import MMA, MMAConfig
from promptarena.methods.mmrlpp import MMRLPP, MMRLPPConfig
from promptarena.methods.skip_tuning import SkipTuning, SkipTuningConfig
from promptarena.methods.two_stage import TwoStage, TwoStageConfig


def _mma(config: Official) -> MMAConfig:
    return MMAConfig(
        first_layer=config["ADAPTER_START"],
        last_layer=config["ADAPTER_END"],
        width=config["ADAPTER_DIM"],
        scale=config["ADAPTER_SCALE"],
        template=f"{config.get('TEXT_CTX_INIT') or 'a photo of a'} {{}}.",
    )


def _mma_name(official: str, config: Official) -> str:
    kind, layer, *rest = official.removeprefix("adapter_learner.").split(".")
    tower = kind.removesuffix("_adapter").replace("visual", "vision")
    which = "shared" if tower == "shared" else f"{tower}_{rest[0]}"
    return f"{which}.{int(layer) - config['ADAPTER_START']}.{rest[-1]}"


def _mmrlpp(config: Official) -> MMRLPPConfig:
    return MMRLPPConfig(
        n_rep_tokens=config["N_REP_TOKENS"],
        rep_layers=tuple(config["REP_LAYERS"]),
        rep_dim=config["REP_DIM"],
        alpha=config["ALPHA"],
        reg_weight=config["REG_WEIGHT"],
        beta=config["BETA"],
        residual_rank=config["RES_LORA_DIM"],
        projection_rank=config["PROJ_LORA_DIM"],
    )


def _mmrlpp_name(official: str, config: Official) -> str:
    if official.startswith("image_encoder."):
        return official.removeprefix("image_encoder.").lower()
    name = official.removeprefix("representation_learner.")
    if name == "compound_rep_tokens":
        return "r"
    aligner, *rest = name.removeprefix("srra_r2").split(".")
    if rest == ["weight"]:
        return f"{aligner[0]}.weight"
    _, layer, tensor = rest
    return f"{aligner[0]}.{tensor.lower()}.{layer}"


def _mmrlpp_before(learner: Any, images: Images, prompts: Any) -> Outputs:
    return {
        "teacher/text_features_normalized": F.normalize(prompts.w_0, dim=-1),
        "teacher/image_features": images.features,
    }


def _dept_name(official: str, config: Official) -> str:
    if official == "prompt_learner.ctx":
        return "host.context"
    kind, tensor = official.split(".")
    names = {"film_lp_img": "image_", "film_lp_text": "text_", "linear_probe_proj": "head."}
    return names[kind] + tensor


def _dept_outputs(learner: Any, images: Images, prompts: Any) -> Outputs:
    outputs = plain_outputs(learner.host, images, prompts.host)
    head = learner.h(learner.image_scale, outputs["image_features"], learner.image_bias)
    return (
        {**outputs, "logits_lp": head, "logits_fusion": learner.mix(outputs["logits"], head)}
        if _known(prompts)
        else outputs
    )


def _known(prompts: Any) -> bool:
    return prompts.rows is not None


def _dept_losses(config: Official, losses: Mapping[str, Tensor]) -> Outputs:
    w = config["WEIGHT"]
    return unweighted(losses, ce=("cross_entropy", 1 - w), ce_lp=("head", w), kg=("knowledge", config["KG_WEIGHT"]))


def _skip_tuning_name(official: str, config: Official) -> str:
    name = official.removeprefix("text_encoder.").replace("image_encoder.", "visual.")
    return "weights." + name.replace(".", "/")


def _reserved(learner: Any, config: Official) -> None:
    learner.ranks = torch.tensor(config["reserve_mask"]).nonzero()[:, 0]


PROJECTIONS = {"q": "q", "k": "k", "v": "v", "o": "out", "p": "out"}
"""Ours by the first letter of the official ones; the output projection is `o` in settings and `proj` in the module."""


def _clip_lora_name(official: str, config: Official) -> str:
    tower = "vision" if official.startswith("visual.") else "text"
    *_, block, _, projection, tensor = official.split(".")
    return f"{tower}.{block}.{PROJECTIONS[projection[0]]}.{tensor[-1].lower()}"


def _atprompt_name(official: str, config: Official) -> str:
    name = official.removeprefix("prompt_learner.")
    if name.startswith("ctx_att"):
        return f"anchors.{int(name.removeprefix('ctx_att')) - 1}"
    return "context" if name == "ctx" else name


def _atprompt_maple_name(official: str, config: Official) -> str:
    name = _atprompt_name(official, config)
    return name if name.startswith("anchors.") else _maple_name(official, config)


def _coprompt_name(official: str, config: Official) -> str:
    if official.startswith("prompt_learner."):
        return _maple_name(official, config)
    adapter, _, layer, tensor = official.split(".")
    return f"{adapter.removeprefix('adapter_')}_adapter.{layer}.{tensor}"


def _coprompt_losses(config: Official, losses: Mapping[str, Tensor]) -> Outputs:
    terms = {name: (name, config["W"]) for name in ("cos_text", "cos_image")}
    return {"ce": losses["cross_entropy"]} | unweighted(losses, **terms)


ADAPTERS = EARLIER | {
    "MMA": Adapter(MMA, _mma, _mma_name),
    "MMRL++": Adapter(
        MMRLPP, _mmrlpp, _mmrlpp_name, _template, _mmrl_outputs, _mmrl_losses, "logits_fusion", _mmrlpp_before
    ),
    "SkipTuning": Adapter(
        SkipTuning,
        lambda config: SkipTuningConfig(
            start=config["START_LAYER"],
            top_share=config["TOP_RATIO"],
            top_limit=config["MAX_TOP"],
            decay=config["LAMBDA"],
        ),
        _skip_tuning_name,
        _template,
        before=lambda learner, images, prompts: {"teacher/class_prototypes": prompts.prototypes},
        prepare=_reserved,
    ),
    "CLIP-LoRA": Adapter(
        CLIPLoRA,
        lambda config: CLIPLoRAConfig(
            rank=config["r"],
            alpha=config["alpha"],
            dropout=config["dropout_rate"],
            projections=tuple(PROJECTIONS[name[0]] for name in config["params"]),
            template=config["template"],
        ),
        _clip_lora_name,
        partial=True,
    ),
    "ATPrompt+CoOp": Adapter(
        ATPromptCoOp,
        lambda config: ATPromptConfig(n_ctx=config["N_CTX"], attributes=tuple(config["ATTRIBUTES"])),
        _atprompt_name,
    ),
    "ATPrompt+MaPLe": Adapter(
        ATPromptMaPLe,
        lambda config: ATPromptMaPLeConfig(
            n_ctx=config["N_CTX"], attributes=tuple(config["ATTRIBUTES"]), prompt_depth=config["PROMPT_DEPTH"]
        ),
        _atprompt_maple_name,
    ),
    "2SFS": Adapter(
        TwoStage,
        lambda config: TwoStageConfig(template=config["template"]),
        lambda official, config: "weights." + official.replace(".", "/"),
        later=frozenset({"head"}),
        partial=True,
    ),
    "CoPrompt": Adapter(
        CoPrompt,
        lambda config: CoPromptConfig(
            n_ctx=config["N_CTX"],
            ctx_init=config["CTX_INIT"],
            prompt_depth=config["PROMPT_DEPTH"],
            weight=config["W"],
            templates=tuple(config["descriptions"]),
        ),
        _coprompt_name,
        losses=_coprompt_losses,
        before=lambda learner, images, prompts: {"teacher/text_features_normalized": prompts.e},
    ),
    "DePT+KgCoOp": Adapter(
        DePTKgCoOp,
        lambda config: DePTKgCoOpConfig(
            **knowledge_guided(config), weight=config["KG_WEIGHT"], head_weight=config["WEIGHT"]
        ),
        _dept_name,
        lambda config: str(config["teacher_template"]),
        _dept_outputs,
        _dept_losses,
        "logits_fusion",
        lambda learner, images, prompts: {"teacher/text_features_normalized": prompts.host.w},
    ),
}
