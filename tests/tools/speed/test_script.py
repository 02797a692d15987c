import importlib
import json
import math
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

METHODS = ("coop", "maple", "promptsrc", "rada", "mmrl", "dear")
NEWEST = (
    *("mma", "dept-coop", "dept-kgcoop", "dept-maple", "dept-promptsrc", "mmrlpp"),
    *("skip-tuning", "clip-lora", "atprompt-coop", "atprompt-maple", "two-stage", "coprompt"),
)
TINY = {
    "embed_dim": 32,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 12, "width": 48, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 12},
}


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.json"
    path.write_text(json.dumps(TINY))
    return path


def part(name: str) -> Any:
    return importlib.import_module(f"tools.speed.{name}")


@pytest.fixture(scope="module")
def world(tiny: Path) -> Any:
    return part("world").World(tiny)


def speed(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["speed.py", *map(str, arguments)])
    importlib.import_module("tools.speed.__main__").main()


def ratios(table: pd.DataFrame) -> list[float]:
    cells = [str(cell) for name in table.columns if name.endswith("ratio") for cell in table[name]]
    return [float(found.group(1)) for cell in cells if (found := re.match(r"([\d.]+|nan|inf)x", cell))]


@pytest.mark.parametrize("name", ["steps", "evaluate", "seeds"])
def test_every_method_is_compared_in_finite_ratios_and_computes_the_same(
    name: str, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    speed(monkeypatch, name, "--quick", "--model", tiny, "--classes", 3, "--out", tmp_path)
    printed = capsys.readouterr().err.splitlines()
    measured = [*METHODS, *NEWEST] if name == "steps" else list(METHODS)
    assert [line.split()[0] for line in printed] == measured
    table = pd.read_csv(tmp_path / f"{name}.csv")
    assert list(table["method"]) == measured
    found = ratios(table)
    assert len(found) == (2 if name == "seeds" else 4) * len(measured)
    assert all(math.isfinite(value) and value > 0 for value in found)
    assert (table["difference"] < 1e-4).all()


def test_the_tables_say_on_which_machine_they_were_made(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speed(monkeypatch, "text", "--quick", "--model", tiny, "--classes", 3, "--out", tmp_path)
    text = (tmp_path / "text.md").read_text()
    assert "+ pack_texts" in text
    assert f"torch {torch.__version__}" in text
    assert "1 thread(s), tiny, float32" in text


def test_whole_runs_are_carried_out_and_add_up(world: Any, tmp_path: Path) -> None:
    runs, report = part("runs"), part("report").Report(tmp_path, "")
    plan = part("runs_table").Plan(classes=4, images=4, divide=200, test=4, seeds=2, naive_steps=1, naive_templates=1)
    runs.runs(world, runs.Starts(naive=10.0, ours=12.0), ["coop", "rada"], plan, report)
    table = pd.read_csv(tmp_path / "runs.csv")
    assert list(table["method"]) == ["coop", "rada", "all runs"]
    assert all(math.isfinite(value) and value > 0 for value in ratios(table))
    naive = table["naive run s"]
    assert naive[2] == pytest.approx(2 * (naive[0] + naive[1]), abs=3)


@pytest.mark.parametrize("method", [*METHODS, *NEWEST])
def test_the_naive_path_gives_the_same_logits_losses_and_gradients(method: str, world: Any, tmp_path: Path) -> None:
    steps = part("steps")
    sides = steps.sides(world, method, 4, 3, tmp_path, **part("world").WITHOUT_CHANCE.get(method, {}))
    for side in sides.values():
        with torch.no_grad():
            for parameter in side.learner.parameters():
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(7)))
    naive, fresh, repeated = (sides[name].forward_and_backward() for name in ("naive", "fresh", "repeated"))
    assert len(naive) > 2
    assert steps.difference(fresh, naive) < 1e-4
    assert steps.difference(repeated, naive) < 1e-4


def test_parts_that_do_not_measure_a_method_say_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        speed(monkeypatch, "seeds", "--methods", "mma")
    assert "only steps are measured" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["mma", "clip-lora", "skip-tuning", "two-stage"])
def test_nothing_of_a_naive_step_is_accelerated(method: str, world: Any, tmp_path: Path) -> None:
    learner = part("steps").sides(world, method, 3, 2, tmp_path)["naive"].learner
    naive = part("naive").NaiveTower
    for backbone in {learner.backbone, getattr(learner, "tuned", learner.backbone)}:
        assert isinstance(backbone.text, naive)
        assert isinstance(backbone.vision, naive)


@pytest.mark.parametrize("method", ["coop", "mmrl"])
def test_the_naive_path_runs_77_tokens_of_each_class_through_every_block(
    method: str, world: Any, tmp_path: Path
) -> None:
    classes = 3
    side = part("steps").sides(world, method, classes, 2, tmp_path)["naive"]
    rows = dict.fromkeys(range(12), 0)

    def count(block: int, given: torch.Tensor) -> None:
        rows[block] += given.shape[0] * given.shape[1]

    hooks = [
        block.mlp.register_forward_pre_hook(lambda _, given, index=index: count(index, given[0]))
        for index, block in enumerate(world.naive.text.blocks)
    ]
    side.forward_and_backward()
    for hook in hooks:
        hook.remove()
    inserted = [classes * (77 + (5 if method == "mmrl" and block >= 5 else 0)) for block in range(12)]
    assert list(rows.values()) == inserted


def test_an_unknown_architecture_is_a_mistake_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        speed(monkeypatch, "steps", "--model", "ViT-B-17")
    assert stopped.value.code == 2
    assert "unknown architecture 'ViT-B-17'" in capsys.readouterr().err.splitlines()[-1]


def test_a_ratio_is_of_paired_rounds() -> None:
    found = part("measure").ratio([2.0, 40.0, 6.0], [1.0, 10.0, 2.0])
    assert found == (3.0, 2.5, 3.5)
    assert str(found) == "3.00x (2.50-3.50)"


def test_floors_count_every_matrix_product() -> None:
    weight = torch.randn(5, 7, requires_grad=True)
    assert part("measure").flops(lambda: (torch.randn(3, 5) @ weight).sum().backward()) == 2 * (2 * 3 * 5 * 7)


def test_more_classes_than_imagenet_has_are_refused() -> None:
    with pytest.raises(SystemExit, match="--classes 1001: ImageNet has 1 to 1000"):
        part("world").class_names(1001)


def test_a_short_call_is_repeated_and_its_first_time_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    measure, clock = part("measure"), [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    durations = iter([20.0, 3.0, 1.0, 2.0, 40.0, 50.0])

    def work() -> None:
        clock[0] += next(durations)

    timed = measure.Timed()
    measure.once(work, timed, at_least=25.0)
    assert timed.wall == [2.0]
    measure.once(work, timed, at_least=25.0)
    measure.once(work, timed)
    assert timed.wall == [2.0, 40.0, 50.0]


def test_growth_with_images_has_finite_ratios(world: Any, tmp_path: Path) -> None:
    part("growth")._images(world, (8, 16), part("report").Report(tmp_path, "a machine"))
    table = pd.read_csv(tmp_path / "growth_images.csv")
    assert list(table["training images"]) == [8, 16]
    assert (table["naive CPU s"] > 0).all()
    assert all(math.isfinite(value) and value > 0 for value in ratios(table))
    assert len(ratios(table)) == 2
