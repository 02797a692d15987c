"""Running a program as if packages were not installed."""

import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "torchvision", "mlflow", "open_clip", "sklearn", "timm")

_HIDE = f"""
import sys

class Absent:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent)
"""


def run_without_heavy_packages(code: str, *arguments: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """What the Python code prints where none of the HEAVY packages can be imported; it must end well."""
    ended = subprocess.run(
        [sys.executable, "-c", _HIDE + code, *map(str, arguments)], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
