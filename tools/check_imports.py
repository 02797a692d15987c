"""Checks that imports between the rooms run one way, and the types of the code.

    python tools/check_imports.py            the import contract of .importlinter
    python tools/check_imports.py --types    mypy as well

Both tools look for a folder called promptarena, which the repository does not have: its parts are mapped into the
package when it is installed. So they are shown a temporary folder of links.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[1]
TYPED = ("promptarena", "tools.miniature")


def main() -> int:
    """Run the checks; 0 when all hold."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "promptarena").mkdir()
        for part in ("methods", "benchmark"):
            (Path(folder) / "promptarena" / part).symlink_to(ROOT / part)
        for module in (ROOT / "benchmark" / "api").iterdir():  # the package promptarena itself
            if module.suffix in (".py", ".typed"):
                (Path(folder) / "promptarena" / module.name).symlink_to(module)
        (Path(folder) / "tools").symlink_to(ROOT / "tools")
        os.chdir(folder)
        failed = lint_imports(config_filenames=(str(ROOT / ".importlinter"),), no_cache=True, no_logo=True)
        if "--types" in sys.argv:
            packages = [word for name in TYPED for word in ("-p", name)]
            command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), *packages]
            failed |= subprocess.run(command, check=False).returncode
        os.chdir(ROOT)
    return failed


if __name__ == "__main__":
    sys.exit(main())
