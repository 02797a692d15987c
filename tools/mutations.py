"""Takes guards out one at a time and sees that a test notices: python tools/mutations.py [PART OF A KIND ...]

Each row names a kind of fault, a guard against it, and the test that must fail without the guard. It runs in a copy.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECONDS = 600


@dataclass(frozen=True)
class Mutation:
    """A guard that is taken out.

    Args:
        kind: The kind of fault that the guard is against.
        path: The file, relative to the repository.
        guard: The guard's text, which the file has once.
        without: What replaces it.
        test: The test that must fail, as pytest takes it.
    """

    kind: str
    path: str
    guard: str
    without: str
    test: str


RECORDING = "benchmark/recording"
MUTATIONS = (
    Mutation(
        "class names that become one prompt or are invisible",
        "benchmark/data/class_names.py",
        "if hidden := next(filter(_is_invisible, name), None):",
        "if False:",
        "tests/data/test_class_names.py",
    ),
    Mutation(
        "byte order marks",
        "benchmark/core/config_files.py",
        'decode("utf-8-sig")',
        'decode("utf-8")',
        "tests/core/test_config_files.py",
    ),
    Mutation(
        "logits of another form",
        "benchmark/training/outputs.py",
        "if not (dense and logits.shape == shape and logits.is_floating_point()):",
        "if not dense:",
        "tests/training/test_outputs.py",
    ),
    Mutation(
        "values that are not finite",
        "benchmark/training/outputs.py",
        "if not bool(tensor.isfinite().all()):",
        "if False:",
        "tests/training/test_outputs.py",
    ),
    Mutation(
        "intervals of shared trainings: the seeds' part",
        "benchmark/statistics/shared.py",
        "if seeds > 1 else",
        "if False else",
        "tests/statistics/test_shared.py",
    ),
    Mutation(
        "equal differences",
        "benchmark/statistics/significance.py",
        "if np.ptp(rounded) == 0:",
        "if False:",
        "tests/statistics/test_significance.py",
    ),
    Mutation(
        "exports with damaged tensors",
        "benchmark/cli/commands/export.py",
        "        if not whole:",
        "        if False:",
        "tests/recording/exports/test_learners.py",
    ),
    Mutation(
        "exports with missing tensors",
        "benchmark/cli/commands/export.py",
        "if name not in there:",
        "if False:",
        "tests/recording/exports/test_learners.py",
    ),
    Mutation(
        "imports: moments that no table holds",
        f"{RECORDING}/exports/holdable.py",
        "    if not inside:",
        "    if False:",
        "tests/recording/exports/test_holdable.py",
    ),
    Mutation(
        "imports: half characters and NULs",
        f"{RECORDING}/exports/holdable.py",
        'if isinstance(leaf, str) and ("\\0" in leaf or not _is_text(leaf)):',
        "if False:",
        "tests/recording/exports/test_holdable.py",
    ),
    Mutation(
        "imports: names that MLflow refuses",
        f"{RECORDING}/exports/holdable.py",
        'if plain != name or plain.startswith(("..", "/")) or plain == "." or len(name) > LONGEST_NAME:',
        "if False:",
        "tests/recording/exports/test_holdable.py",
    ),
    Mutation(
        "artifacts of other JSON",
        f"{RECORDING}/schema.py",
        "GARBLED = (KeyError, TypeError, ValueError, RecursionError, UserError)",
        "GARBLED = (KeyError,)",
        "tests/recording/exports/test_learners.py",
    ),
    Mutation(
        "an empty word",
        "benchmark/cli/main.py",
        "        _require_words(sys.argv)",
        "        pass",
        "tests/cli/test_main_empty_words.py",
    ),
    Mutation(
        "encodings without a character",
        "benchmark/cli/output.py",
        "stream.reconfigure(errors=HANDLER)",
        "pass",
        "tests/cli/test_output.py",
    ),
    Mutation(
        "formulas in CSV",
        "benchmark/leaderboard/formats/csv_text.py",
        "if text.startswith(FORMULAS) else text",
        "if False else text",
        "tests/leaderboard/formats/test_csv_text.py",
    ),
    Mutation(
        "control and invisible characters in names",
        "benchmark/core/labels.py",
        "    if text.isprintable():",
        "    if True:",
        "tests/core/test_labels.py",
    ),
    Mutation(
        "advice that is not true",
        f"{RECORDING}/faults.py",
        '("database is locked", _HELD)',
        '("lock", _HELD)',
        "tests/recording/test_faults.py",
    ),
    Mutation(
        "SQLAlchemy's first line in place of the cause",
        f"{RECORDING}/faults.py",
        "next((found[1] for found in named if found), lines[0].strip() if lines else type(error).__name__)",
        "lines[0].strip()",
        "tests/recording/test_faults.py",
    ),
    Mutation(
        "secrets in addresses",
        f"{RECORDING}/address.py",
        'text = text.replace(secret, "***")',
        "pass",
        "tests/recording/test_address.py",
    ),
    Mutation(
        "TLS servers with an authority of one's own",
        f"{RECORDING}/store.py",
        'os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or True',
        "True",
        "tests/recording/test_store_tls.py",
    ),
)


def main() -> int:
    """Print a line for each mutation. Returns 1 if a test did not notice one."""
    chosen = [each for each in MUTATIONS if not sys.argv[1:] or any(part in each.kind for part in sys.argv[1:])]
    missed = 0
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "promptarena"
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for file in filter(None, listed.split("\0")):
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, copy / file)
        for each in chosen:
            noticed = _noticed(each, copy)
            missed += not noticed
            print(f"{'noticed' if noticed else 'MISSED '}  {each.kind}  ({each.path}, {each.test})", flush=True)
    return int(missed > 0)


def _noticed(mutation: Mutation, copy: Path) -> bool:
    path = copy / mutation.path
    before = path.read_text()
    if before.count(mutation.guard) != 1:
        raise SystemExit(f"{mutation.path} has {mutation.guard!r} {before.count(mutation.guard)} times, not once")
    path.write_text(before.replace(mutation.guard, mutation.without))
    try:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutation.test]
        environment = os.environ | {"PYTHONPATH": str(copy.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        ended = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=SECONDS)
    finally:
        path.write_text(before)
    if ended.returncode not in (0, 1):
        raise SystemExit(ended.stdout + ended.stderr)
    return ended.returncode == 1


if __name__ == "__main__":
    sys.exit(main())
