"""A run's figures depend on nothing but the run: not on workers, order, neighbours or what ran before."""

from pathlib import Path
from typing import Any

import e2e_record
import pytest
from e2e_command import succeed
from e2e_world import make_world


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"), epochs=3)


@pytest.fixture(scope="module")
def reference(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return compare(
        suite, tmp_path_factory.mktemp("reference"), "--workers", 1, "--methods", "zeroshot", "coop", "maple"
    )


def compare(suite: Path, folder: Path, *arguments: str | int) -> dict[str, Any]:
    succeed("compare", suite, "--seeds", 0, 7, 0, *arguments, cwd=folder, PROMPTARENA_CACHE=str(folder / "cache"))
    return e2e_record.figures(folder / "results")


def test_seed_zero_is_a_seed_like_any_other(reference: dict[str, Any]) -> None:
    zero, seven = (reference[f"coop base-to-novel noisy 2 {seed}"] for seed in (0, 7))
    assert zero["split"] != seven["split"]
    assert zero["learned"] != seven["learned"]
    assert {name.split()[-1] for name in reference} == {"0", "7", "none"}


@pytest.mark.parametrize("workers", [3, pytest.param(2, marks=pytest.mark.slow)])
def test_other_numbers_of_workers_and_another_order(
    workers: int, suite: Path, reference: dict[str, Any], tmp_path: Path
) -> None:
    assert compare(suite, tmp_path, "--workers", workers, "--methods", "maple", "zeroshot", "coop") == reference


def test_other_methods_beside_and_separate_commands(suite: Path, reference: dict[str, Any], tmp_path: Path) -> None:
    compare(suite, tmp_path, "--workers", 2, "--methods", "coop", "--protocols", "domain-generalization")
    found = compare(suite, tmp_path, "--workers", 2, "--methods", "linear-probe", "maple", "zeroshot", "coop")
    assert {name: found[name] for name in reference} == reference
