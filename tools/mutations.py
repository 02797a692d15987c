"""Takes guards out one at a time and sees that a test notices: python -m tools.mutations [PART OF A KIND ...]

Each row names a kind of fault, a guard against it, and the test that must fail without the guard. It runs in a copy.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from tools.copies import copy_into, environment, replace_once
from tools.guards import MUTATIONS, Mutation

SECONDS = 600


def main() -> int:
    """Print a line for each mutation. Returns 1 if a test did not notice one."""
    chosen = [each for each in MUTATIONS if not sys.argv[1:] or any(part in each.kind for part in sys.argv[1:])]
    missed = 0
    with tempfile.TemporaryDirectory() as name:
        copy = copy_into(Path(name))
        for each in chosen:
            noticed = _noticed(each, copy)
            missed += not noticed
            print(f"{'noticed' if noticed else 'MISSED '}  {each.kind}  ({each.path}, {each.test})", flush=True)
    return int(missed > 0)


def _noticed(mutation: Mutation, copy: Path) -> bool:
    path = copy / mutation.path
    before = replace_once(path, mutation.guard, mutation.without)
    try:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutation.test]
        ended = subprocess.run(
            command, cwd=copy, env=environment(copy.parent), capture_output=True, text=True, timeout=SECONDS
        )
    finally:
        path.write_text(before)
    if ended.returncode not in (0, 1):
        raise SystemExit(ended.stdout + ended.stderr)
    return ended.returncode == 1


if __name__ == "__main__":
    sys.exit(main())
