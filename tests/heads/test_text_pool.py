"""The pool of texts of a diagnosis."""

import json
from pathlib import Path

import pytest

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.heads.text_pool import SHIPPED, read_pool
from promptarena.benchmark.planning.suites import load_suite


def test_a_pool_is_its_distinct_lines(tmp_path: Path) -> None:
    path = tmp_path / "pool.txt"
    path.write_text("# heading\na red  thing\n\n a dog \na dog\n")
    pool = read_pool(path)
    assert (pool.name, pool.texts) == ("pool.txt", ("a red thing", "a dog"))
    path.write_text("# other heading\na red thing\na dog")
    assert read_pool(path).digest == pool.digest
    path.write_text("a dog\na red thing")
    assert read_pool(path).digest != pool.digest
    path.write_text("alone")
    with pytest.raises(UserError, match="at least two"):
        read_pool(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not UTF-8"):
        read_pool(path)


def test_the_shipped_pool_is_balanced_distinct_and_free_of_the_miniatures_class_names() -> None:
    lines = [line for line in SHIPPED.read_text().splitlines() if line and not line.startswith("#")]
    assert len({line.lower() for line in lines}) == len(lines) == len(read_pool().texts)
    assert 1200 <= len(lines) <= 2000
    sizes: dict[str, int] = {}
    for line in SHIPPED.read_text().splitlines():
        if line.startswith("# "):
            heading = line
        elif line:
            sizes[heading] = sizes.get(heading, 0) + 1
    assert len(sizes) == 13
    assert max(sizes.values()) < 0.2 * len(lines)
    suite = load_suite("mini")
    names = {name.lower() for dataset in suite.dataset_names for name in suite.card(dataset).class_names}
    phrased = {name for name in names for line in lines if line.lower() in (name, f"a photo of a {name}", f"a {name}")}
    assert not phrased, json.dumps(sorted(phrased))
