#!/usr/bin/env bash
# Checks the GPU path from a checkout: no network, no data, at most about 8 minutes. Arguments are those of
# `python -m tools.gpu`; PYTHON names the interpreter.
#
# Needed: Python 3.11 or newer and torch with CUDA, as in PyTorch's images, and wheels of what else pyproject.toml
# lists. What is missing is named; the package itself is then installed from this checkout.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python="${PYTHON:-python3}"
missing="$("$python" tools/gpu/wheels.py)"
if [ -n "$missing" ]; then
    echo "missing packages; install them with: $python -m pip install $missing" >&2
    exit 2
fi
"$python" -c 'import promptarena' 2>/dev/null ||
    "$python" -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .
exec "$python" -m tools.gpu "$@"
