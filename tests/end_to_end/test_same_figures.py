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
    return compare(suite, tmp_path_factory.mktemp("reference"), "--methods", "zeroshot", "coop", "maple")


def compare(suite: Path, folder: Path, *arguments: str | int) -> dict[str, Any]:
    if "--workers" not in arguments:
        arguments += ("--workers", 1)
    succeed("compare", suite, "--seeds", 1, 2, *arguments, cwd=folder, PROMPTARENA_CACHE=str(folder / "cache"))
    return e2e_record.figures(folder / "results")


@pytest.mark.parametrize("workers", [2, 3])
def test_other_numbers_of_workers_and_another_order(
    workers: int, suite: Path, reference: dict[str, Any], tmp_path: Path
) -> None:
    arguments = ("--workers", workers, "--methods", "maple", "zeroshot", "coop")
    assert compare(suite, tmp_path, *arguments) == reference


def test_other_methods_beside_and_separate_commands(suite: Path, reference: dict[str, Any], tmp_path: Path) -> None:
    compare(suite, tmp_path, "--methods", "coop", "--protocols", "domain-generalization", "base-to-novel")
    compare(suite, tmp_path, "--methods", "maple", "linear-probe", "zeroshot")
    found = compare(suite, tmp_path, "--methods", "coop", "--protocols", "cross-dataset")
    assert {name: found[name] for name in reference} == reference


def test_seed_zero_is_a_seed_like_any_other(suite: Path, tmp_path: Path) -> None:
    chosen = ("--methods", "coop", "--protocols", "base-to-novel", "--seeds", 0, 1, 0)
    succeed("compare", suite, *chosen, cwd=tmp_path)
    figures = e2e_record.figures(tmp_path / "results")
    assert sorted(figures) == ["coop base-to-novel noisy 2 0", "coop base-to-novel noisy 2 1"]
    first, second = figures.values()
    assert first["learned"] != second["learned"]
