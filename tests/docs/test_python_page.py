"""The code of docs/python.md runs as it stands, block by block, as in a notebook."""

import linecache
import re
import sys
import types
from pathlib import Path

import pytest
from PIL import Image

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def test_the_page_runs(compared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (60, 40), "green").save("photo.png")
    module = types.ModuleType("docs_python_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    for number, block in enumerate(blocks):
        name = f"<cell of the page {number}>"
        monkeypatch.setitem(linecache.cache, name, (len(block), None, block.splitlines(keepends=True), name))
        exec(compile(block, name, "exec"), module.__dict__)
    assert Path("report.html").is_file()
    assert list(Path("results/plugins").rglob("shift.py"))
