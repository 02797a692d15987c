"""A script that compares at its top level: workers do not run it again."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import promptarena as pa

print("begun")
found = pa.compare(methods=["zeroshot"], datasets=["digits"], protocols=["base-to-novel"], quiet=True)
print(len(found))
"""


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    ended = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout == "begun\n1\n"
