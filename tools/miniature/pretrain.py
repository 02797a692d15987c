"""Pretrain the miniature's CLIP from scratch on the pack of sprites.

    python -m tools.miniature.pretrain OUT_FOLDER

Workers are processes of one thread each that average their gradients. A stopped run continues when the same command is
given again. OUT_FOLDER receives `mini_clip.safetensors` (rewritten at every checkpoint), `open_clip_config.json`,
`curve.csv` and `state.pt` (only for continuing).
"""

import argparse
import csv
import json
import os
import time
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as mp
from open_clip.model import CLIP
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from promptarena.benchmark.core.paths import MINIATURE
from promptarena.benchmark.data.miniature.pack import load_pack, pack_digest, pack_dir, verified
from tools.miniature import captions
from tools.miniature.corpus import VIEWS, Corpus
from tools.miniature.muon import Muon
from tools.miniature.objective import Tokens, encode_images, encode_texts, measure

CONFIG: dict[str, Any] = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": 48, "layers": 12, "width": 128, "head_width": 16, "patch_size": 12},
    "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 96, "heads": 4, "layers": 12},
    "quick_gelu": False,
}
CREDITS = (
    "Pretrained on Noto Emoji (Apache-2.0), Twemoji (CC BY 4.0), EmojiTwo (CC BY 4.0), Fluent Emoji (MIT), "
    "Game Icons (CC BY 3.0), Circle Flags (MIT) and digits of openly licensed typefaces; see the pack's ATTRIBUTION.md"
)


@dataclass(frozen=True)
class Plan:
    """A pretraining run: everything but `out` and `save_minutes` decides its outcome."""

    out: Path
    steps: int = 3235
    workers: int = 2
    slots: int = 48
    seed: int = 0
    rare: float = 0.25
    warmup: int = 100
    decay: float = 0.0
    muon_rate: float = 0.02
    adam_rate: float = 2e-3
    reduced: bool = True
    save_minutes: float = 5.0

    def rate(self, step: int) -> float:
        """Factor of the learning rates at `step`: warm-up, constant, then linear to 2 % over the last `decay` share."""
        falling = (self.steps - step) / (self.decay * self.steps) if self.decay else 1.0
        return min(1.0, (step + 1) / self.warmup, max(0.02, falling))


def used_concepts(cards: Path) -> frozenset[str]:
    """Concepts that occur in some miniature dataset, read from its card."""
    read = [tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(cards.glob("*.toml"))]
    options = [card["options"] for card in read if card["reader"] == "miniature"]
    return frozenset(key for option in options if option["kind"] == "sprites" for key in option["concepts"])


class Exchange:
    """Averages the workers' gradients through shared memory."""

    def __init__(self, workers: int, numbers: int) -> None:
        self._rows = torch.zeros(workers, numbers).share_memory_()
        self._barrier = mp.get_context("spawn").Barrier(workers)

    def average(self, rank: int, gradients: list[Tensor]) -> None:
        """Replace `gradients` by their mean over all workers; every worker must call this."""
        torch.cat([gradient.flatten() for gradient in gradients], out=self._rows[rank])
        self._barrier.wait()
        pieces = self._rows.mean(0).split([gradient.numel() for gradient in gradients])
        self._barrier.wait()
        torch._foreach_copy_(gradients, [piece.view_as(old) for piece, old in zip(pieces, gradients, strict=True)])


class Learner(nn.Module):
    """The model, its trained token rows and the auxiliary concept table, with their two optimisers."""

    def __init__(self, plan: Plan, corpus: Corpus) -> None:
        super().__init__()
        torch.manual_seed(plan.seed)
        self.clip = CLIP(**CONFIG)
        self.clip.token_embedding.requires_grad_(False)
        context = CONFIG["text_cfg"]["context_length"]
        self.tokens = Tokens(self.clip.token_embedding.weight, captions.vocabulary(iter(corpus.concepts)), context)
        self.table = nn.Parameter(torch.randn(corpus.size, CONFIG["embed_dim"]))
        named = {name: p for name, p in self.named_parameters() if p.requires_grad}
        self.trained = list(named.values())
        blocks = [p for name, p in named.items() if "resblocks" in name and p.ndim == 2]
        other = {name: p for name, p in named.items() if all(p is not block for block in blocks) and name != "table"}
        decayed = [p for name, p in other.items() if p.ndim == 2 and "embedding" not in name and "tokens" not in name]
        plain = [p for p in other.values() if all(p is not matrix for matrix in decayed)]
        self.muon = Muon(blocks, plan.muon_rate, weight_decay=0.02)
        groups = [
            {"params": decayed, "weight_decay": 0.05, "lr": plan.adam_rate},
            {"params": plain, "weight_decay": 0.0, "lr": plan.adam_rate},
            {"params": [self.table], "weight_decay": 0.0, "lr": 3 * plan.adam_rate},
        ]
        self.adam = torch.optim.AdamW(groups, betas=(0.9, 0.98), foreach=True)
        self._rates = [group["lr"] for group in self._groups()]

    def _groups(self) -> list[dict[str, Any]]:
        return [*self.muon.param_groups, *self.adam.param_groups]

    def update(self, factor: float, rank: int, exchange: Exchange) -> None:
        """Average the workers' gradients, clip them to norm 1 and step both optimisers at `factor` of their rates."""
        exchange.average(rank, [p.grad for p in self.trained if p.grad is not None])
        nn.utils.clip_grad_norm_(self.trained, 1.0, foreach=True)
        for group, rate in zip(self._groups(), self._rates, strict=True):
            group["lr"] = rate * factor
        self.muon.step()
        self.adam.step()
        for parameter in self.trained:
            parameter.grad = None

    def weights(self) -> dict[str, Tensor]:
        """The plain model's weights in half precision, trained token rows put back into the table."""
        state = {name: value.detach().clone() for name, value in self.clip.state_dict().items() if name != "attn_mask"}
        state["token_embedding.weight"][self.tokens.ids] = self.tokens.rows.detach()
        return {name: value.half().contiguous() for name, value in state.items()}


def _save(plan: Plan, learner: Learner, step: int, seconds: float) -> None:
    state = {
        "step": step,
        "seconds": seconds,
        "learner": learner.state_dict(),
        "muon": learner.muon.state_dict(),
        "adam": learner.adam.state_dict(),
    }
    torch.save(state, plan.out / "state.tmp")
    os.replace(plan.out / "state.tmp", plan.out / "state.pt")
    metadata = {
        "config": json.dumps(CONFIG),
        "steps": str(step),
        "images": str(step * plan.workers * plan.slots * VIEWS),
        "plan": json.dumps(
            {name: value for name, value in asdict(plan).items() if name not in {"out", "save_minutes"}}
        ),
        "pack": pack_digest(),
        "credits": CREDITS,
    }
    save_file(learner.weights(), plan.out / "mini_clip.tmp", metadata)
    os.replace(plan.out / "mini_clip.tmp", plan.out / "mini_clip.safetensors")


def _resume(plan: Plan, learner: Learner) -> tuple[int, float]:
    path = plan.out / "state.pt"
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    learner.load_state_dict(state["learner"])
    learner.muon.load_state_dict(state["muon"])
    learner.adam.load_state_dict(state["adam"])
    return int(state["step"]), float(state["seconds"])


def prepare(plan: Plan) -> tuple[Corpus, Learner]:
    """The corpus and the untrained learner of a run."""
    trained = tuple(json.loads(verified(pack_dir(), "pretrain_concepts.json").read_text(encoding="utf-8")))
    corpus = Corpus(load_pack(), trained, used_concepts(MINIATURE.parent / "cards"), plan.rare, plan.seed)
    return corpus, Learner(plan, corpus)


def work(rank: int, plan: Plan, exchange: Exchange) -> None:
    """One worker of a run."""
    torch.set_num_threads(1)
    corpus, learner = prepare(plan)
    step, before = _resume(plan, learner)
    began = saved = time.monotonic()
    curve = Curve(plan.out / "curve.csv", step) if rank == 0 else None
    while step < plan.steps:
        batch = corpus.batch(step, rank, plan.slots)
        with torch.autocast("cpu", torch.bfloat16, enabled=plan.reduced):
            images = encode_images(learner.clip, batch.images)
            texts = encode_texts(learner.clip, *learner.tokens(batch.captions))
        loss = measure(images, texts, learner.clip.logit_scale.exp(), learner.table, batch.targets)
        loss.total.backward()
        learner.update(plan.rate(step), rank, exchange)
        step += 1
        seconds = before + time.monotonic() - began
        if curve:
            curve.add(step, step * plan.workers * plan.slots * VIEWS, seconds, loss.figures())
        if rank == 0 and (time.monotonic() - saved > 60 * plan.save_minutes or step == plan.steps):
            _save(plan, learner, step, seconds)
            saved = time.monotonic()


def run(plan: Plan) -> None:
    """Run (or continue) `plan` to its end."""
    plan.out.mkdir(parents=True, exist_ok=True)
    (plan.out / "open_clip_config.json").write_text(json.dumps(CONFIG, indent=1) + "\n", encoding="utf-8")
    numbers = sum(parameter.numel() for parameter in prepare(plan)[1].trained)
    spawn(work, (plan, Exchange(plan.workers, numbers)), nprocs=plan.workers)


def main() -> None:
    """Command line: see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--workers", type=int, default=Plan.workers)
    parser.add_argument("--slots", type=int, default=Plan.slots, help="captions per worker and step")
    parser.add_argument("--decay", type=float, default=Plan.decay, help="share of the steps with a falling rate")
    parser.add_argument("--full-precision", action="store_true", help="no bfloat16, for processors without it")
    arguments = parser.parse_args()
    run(
        Plan(
            arguments.out,
            arguments.steps,
            arguments.workers,
            arguments.slots,
            decay=arguments.decay,
            reduced=not arguments.full_precision,
        )
    )


if __name__ == "__main__":
    main()


EVERY = 50
"""Steps per row."""


class Curve:
    """Writes `path`; rows after step `start`, left by a run that stopped after its last checkpoint, are dropped."""

    def __init__(self, path: Path, start: int) -> None:
        self._path = path
        self._sums: dict[str, float] = {}
        self._count = 0
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines[1:] if int(line.split(",")[0]) <= start]
            path.write_text("\n".join([*lines[:1], *kept]) + "\n", encoding="utf-8")

    def add(self, step: int, images: int, seconds: float, values: dict[str, float]) -> None:
        """Add a step's values; a row is written every 50th step."""
        self._count += 1
        self._sums = {name: self._sums.get(name, 0.0) + value for name, value in values.items()}
        if step % EVERY:
            return
        means = {name: f"{total / self._count:.4f}" for name, total in self._sums.items()}
        row = {"step": str(step), "images": str(images), "seconds": f"{seconds:.0f}", **means}
        self._sums, self._count = {}, 0
        fresh = not self._path.exists()
        with self._path.open("a", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(row), lineterminator="\n")
            if fresh:
                writer.writeheader()
            writer.writerow(row)
        print(" ".join(f"{name} {value}" for name, value in row.items()), flush=True)
