"""Code that only a GPU runs is reached by a test all the same, with stand-ins for the device."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ONLY_ON_CUDA = re.compile(r'type (==|!=) "cuda"|torch\.cuda\.')
MODULES = sorted(
    path for path in (ROOT / "benchmark").rglob("*.py") if ONLY_ON_CUDA.search(path.read_text(encoding="utf-8"))
)


def test_there_are_such_modules() -> None:
    assert {path.stem for path in MODULES} >= {"loading", "views", "peak_memory", "environment"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_with_lines_for_cuda_has_a_test_that_is_on_cuda(path: Path) -> None:
    room = ROOT / "tests" / path.parent.relative_to(ROOT / "benchmark")
    tests = [*room.glob(f"test_{path.stem}*.py")]
    assert any("cuda" in test.read_text(encoding="utf-8") for test in tests), [test.name for test in tests]
