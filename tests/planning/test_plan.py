"""Planned runs: a key changes with whatever decides a figure, and with nothing else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import worlds

from promptarena.benchmark.backbone.weight_origins import Weights
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import PlannedRun, RunSpec, Target
from promptarena.benchmark.planning.plan import Planner, parse_overrides
from promptarena.benchmark.plugins.registry import Registry, load_registry
from promptarena.methods.coop import CoOp

BACKBONE = Weights("digest", "local file clip.pt")
REGISTRY = load_registry()
SPEC = RunSpec(
    suite="world",
    protocol="base-to-novel",
    method="coop",
    dataset="birds",
    subset="base",
    shots=4,
    seed=1,
    targets=(Target("birds", "base"), Target("birds", "novel")),
)


@pytest.fixture
def planner(tmp_path: Path) -> Planner:
    return Planner(worlds.suite(tmp_path / "first"), REGISTRY, worlds.Listed(), BACKBONE, "fp32")


def transfer(protocol: Any, target: str, method: str = "coop") -> RunSpec:
    targets = (Target("things", "all"), Target(target, "all"))
    return replace(SPEC, protocol=protocol, method=method, dataset="things", subset="all", targets=targets)


def keys(planned: PlannedRun) -> tuple[str, str]:
    return planned.train_key, planned.key


def test_the_same_run_has_the_same_keys(planner: Planner, tmp_path: Path) -> None:
    again = Planner(worlds.suite(tmp_path / "second"), REGISTRY, worlds.Listed(), BACKBONE, "fp32")
    assert keys(planner.plan(SPEC)) == keys(again.plan(SPEC))


def test_titles_and_citations_change_no_key(planner: Planner, tmp_path: Path) -> None:
    suite = worlds.suite(tmp_path / "second", title="Another", licence="free", citation="Someone", description="More")
    assert keys(replace(planner, suite=suite).plan(SPEC)) == keys(planner.plan(SPEC))


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"shots": 2},
        {"dataset": "things"},
        {"subset": "all"},
        {"method": "maple"},
        {"overrides": (("ctx_init", "an image of a"),)},
        {"overrides": (("recipe.lr", "0.1"),)},
    ],
    ids=str,
)
def test_another_run_has_other_keys(planner: Planner, change: dict[str, Any]) -> None:
    one, other = planner.plan(SPEC), planner.plan(replace(SPEC, **change))
    assert one.train_key != other.train_key
    assert one.key != other.key


def test_only_a_recipe_that_keeps_the_last_batch_has_other_keys(planner: Planner) -> None:
    plain, dropped, kept = (
        planner.plan(replace(SPEC, overrides=overrides))
        for overrides in ((), (("recipe.drop_last", "true"),), (("recipe.drop_last", "false"),))
    )
    assert keys(dropped) == keys(plain)
    assert "drop_last" not in plain.recipe
    assert kept.train_key != plain.train_key
    assert kept.recipe == dict(plain.recipe) | {"drop_last": False}


def test_the_seed_decides_even_where_every_image_is_drawn(planner: Planner) -> None:
    """It still decides initial parameters, batches and augmentation."""
    data = worlds.Listed()
    data.changed["birds", "val"] = tuple(f"val/{row}.png" for row in range(12))
    one, other = (replace(planner, data=data).plan(replace(SPEC, shots=16, seed=seed)) for seed in (1, 2))
    assert one.provenance["train_split"] == other.provenance["train_split"]
    assert one.train_key != other.train_key


def test_backbone_precision_source_and_suite_training_decide_the_keys(planner: Planner, tmp_path: Path) -> None:
    edited = Registry([replace(method, source="edited") for method in REGISTRY.methods.values()], ())
    planners = [
        planner,
        replace(planner, backbone=Weights("other", "somewhere")),
        replace(planner, precision="bf16"),
        replace(planner, registry=edited),
        replace(planner, suite=worlds.suite(tmp_path / "rate", training="lr_multiplier = 2.0")),
        replace(planner, suite=worlds.suite(tmp_path / "epochs", training="max_epochs = 3")),
        replace(planner, suite=worlds.suite(tmp_path / "augment", training="augment = false")),
        replace(planner, suite=worlds.suite(tmp_path / "template", template="a {}.")),
    ]
    planned = [keys(each.plan(SPEC)) for each in planners]
    assert len({train for train, _ in planned}) == len({key for _, key in planned}) == len(planners)


@pytest.mark.parametrize("constant", ["TRAINING_VERSION", "PROTOCOL_VERSION"])
def test_a_version_of_the_harness_decides_the_keys(
    planner: Planner, constant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys(planner.plan(SPEC))
    monkeypatch.setattr(f"promptarena.benchmark.planning.plan.{constant}", 1000)
    train_key, key = keys(planner.plan(SPEC))
    assert key != before[1]
    assert (train_key != before[0]) == (constant == "TRAINING_VERSION")


def test_the_version_of_mixed_precision_decides_its_keys_only(
    planner: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed = replace(planner, precision="bf16")
    before = keys(planner.plan(SPEC)), keys(mixed.plan(SPEC))
    monkeypatch.setattr("promptarena.benchmark.planning.plan.MIXED_PRECISION_VERSION", 1000)
    assert keys(planner.plan(SPEC)) == before[0]
    assert keys(mixed.plan(SPEC))[0] != before[1][0]


def test_a_release_and_a_place_of_installation_change_no_key(planner: Planner) -> None:
    """They are kept in the provenance."""
    moved = [
        replace(method, distribution="promptarena 9.9", origin="elsewhere") for method in REGISTRY.methods.values()
    ]
    one, other = planner.plan(SPEC), replace(planner, registry=Registry(moved, ())).plan(SPEC)
    assert keys(one) == keys(other)
    assert other.provenance["method_distribution"] == "promptarena 9.9"


def test_test_images_decide_the_run_but_not_its_training(planner: Planner) -> None:
    data = worlds.Listed()
    data.changed["birds", "test"] = tuple(f"new/{row}.png" for row in range(40))
    one, other = planner.plan(SPEC), replace(planner, data=data).plan(SPEC)
    assert one.train_key == other.train_key
    assert one.key != other.key


@pytest.mark.parametrize("split", ["train", "val"])
def test_training_images_decide_both(planner: Planner, split: Any) -> None:
    data = worlds.Listed()
    data.changed["birds", split] = tuple(f"new/{row}.png" for row in range(40))
    one, other = planner.plan(SPEC), replace(planner, data=data).plan(SPEC)
    assert one.train_key != other.train_key
    assert one.key != other.key


@pytest.mark.parametrize("method", ["coop", "maple"])
def test_the_transfer_protocols_share_one_training(planner: Planner, method: str) -> None:
    one = planner.plan(transfer("cross-dataset", "birds", method))
    other = planner.plan(transfer("domain-generalization", "sketches", method))
    assert one.train_key == other.train_key
    assert one.key != other.key


def test_recipes_are_scaled_by_the_suite_and_then_set_by_the_user(planner: Planner, tmp_path: Path) -> None:
    suite = worlds.suite(tmp_path / "scaled", training="lr_multiplier = 10.0\nmax_epochs = 7")
    planned = replace(planner, suite=suite).plan(SPEC)
    assert planned.recipe["lr"] == pytest.approx(0.02)
    assert (planned.recipe["epochs"], planned.recipe["batch_size"]) == (7, 32)
    overrides = (("recipe.epochs", "9"), ("recipe.lr", "1e-3"))
    changed = replace(planner, suite=suite).plan(replace(SPEC, overrides=overrides))
    assert (changed.recipe["lr"], changed.recipe["epochs"]) == (1e-3, 9)
    assert changed.config == planned.config


def test_a_suite_scales_the_recipe_of_a_single_method_and_leaves_the_others(planner: Planner, tmp_path: Path) -> None:
    other = replace(SPEC, method="maple")
    shared = replace(planner, suite=worlds.suite(tmp_path / "shared", training="lr_multiplier = 10.0"))
    training = "lr_multiplier = 10.0\nown_lr_multipliers = { coop = 2.0 }"
    own = replace(planner, suite=worlds.suite(tmp_path / "own", training=training))
    assert own.plan(SPEC).recipe["lr"] == pytest.approx(0.004)
    assert keys(own.plan(other)) == keys(shared.plan(other))


def test_settings_are_parsed_by_method_and_name() -> None:
    settings = ["coop.n_ctx=8", "coop.recipe.lr = 0.1", "maple.ctx_init=a=b", "coop.ctx_init="]
    assert parse_overrides(settings, ["coop", "maple"]) == {
        "coop": {"n_ctx": "8", "recipe.lr": "0.1", "ctx_init": ""},
        "maple": {"ctx_init": "a=b"},
    }


@pytest.mark.parametrize("setting", ["coop", "coop=3", "coop.n_ctx", "coop.=3", "=3", ""])
def test_a_setting_of_another_form_is_refused(setting: str) -> None:
    with pytest.raises(UserError, match=r"is not of the form METHOD\.NAME=VALUE"):
        parse_overrides([setting], ["coop"])


def test_a_setting_of_an_unknown_method_is_refused() -> None:
    with pytest.raises(UserError, match=r"unknown method in --set 'cop'; did you mean coop"):
        parse_overrides(["cop.n_ctx=8"], ["coop", "maple"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((("n_cxt", "8"),), r"unknown setting of coop 'n_cxt'; did you mean n_ctx\?"),
        ((("recipe.lrr", "8"),), r"unknown setting of coop\.recipe 'lrr'; did you mean lr"),
        ((("n_ctx", "many"),), r"--set coop\.n_ctx=many: Input should be a valid integer"),
        ((("n_ctx", "0"),), r"--set coop\.n_ctx=0: .*greater than or equal to 1"),
        ((("class_token_position", "behind"),), r"--set coop\.class_token_position=behind: .*'end'"),
        ((("n_ctx", "8"),), r"--set coop\.n_ctx=8: n_ctx is 8 but ctx_init has 4 words; set one of them"),
        ((("recipe.lr", "Infinity"),), r"--set coop\.recipe\.lr=inf: .*finite"),
        ((("recipe.lr", "NaN"),), r"--set coop\.recipe\.lr=nan: .*"),
        ((("recipe.crop_scale", '[0.1, "x"]'),), r"--set coop\.recipe\.crop_scale=\[0\.1, 'x'\]: .*number"),
        ((("recipe.optimizer", "lion"),), r"--set coop\.recipe\.optimizer=lion: .*'sgd'"),
    ],
)
def test_a_wrong_setting_is_reported_in_one_line(
    planner: Planner, overrides: tuple[tuple[str, str], ...], message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        planner.plan(replace(SPEC, overrides=overrides))
    assert "\n" not in str(caught.value)


def test_settings_take_json_and_plain_text(planner: Planner) -> None:
    overrides = (("class_specific", "true"), ("ctx_init", ""), ("n_ctx", "8"), ("recipe.crop_scale", "[0.5, 1]"))
    planned = planner.plan(replace(SPEC, overrides=overrides))
    assert (planned.config["class_specific"], planned.config["ctx_init"], planned.config["n_ctx"]) == (True, "", 8)
    assert list(planned.recipe["crop_scale"]) == [0.5, 1.0]


def test_the_content_of_files_that_a_method_reads_decides_the_keys(planner: Planner, tmp_path: Path) -> None:
    table = tmp_path / "table.json"

    class Reading(CoOp):
        @classmethod
        def reads(cls, config: Any, backbone_digest: str) -> dict[str, Path]:
            return {"table": table}

    coop = REGISTRY.get("coop")
    registry = Registry([replace(coop, learner=Reading)], [])
    found = []
    for content in ("one", "two", "one"):
        table.write_text(content)
        found.append(keys(replace(planner, registry=registry).plan(SPEC)))
    assert found[0] == found[2] != found[1]
    assert found[0] != keys(planner.plan(SPEC))
    table.unlink()
    with pytest.raises(UserError, match=r"table\.json"):
        replace(planner, registry=registry).plan(SPEC)


def test_what_decided_the_figures_is_on_record(planner: Planner) -> None:
    planned = planner.plan(SPEC)
    assert (planned.provenance["backbone"], planned.provenance["backbone_origin"]) == ("digest", "local file clip.pt")
    assert planned.provenance["method_source"] == REGISTRY.get("coop").source
    assert set(planned.provenance["targets"]) == {"birds/base", "birds/novel"}


def test_own_splits_are_on_record_by_name(planner: Planner) -> None:
    class Divided(worlds.Listed):
        def find(self, card: Any, name: Any) -> Any:
            found = super().find(card, name)
            return found and replace(found, own_split=card.name == "birds")

    assert planner.plan(SPEC).provenance["own_splits"] == []
    assert replace(planner, data=Divided()).plan(SPEC).provenance["own_splits"] == ["birds"]
