"""Importing the API."""

import subprocess
import sys

import pytest

import promptarena as pa


def test_importing_the_api_is_fast_and_lists_its_names() -> None:
    code = (
        "import sys, promptarena as pa; print(dir(pa), [m for m in ('torch', 'mlflow', 'pandas') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.rstrip().endswith("[]")
    for name in pa.__all__:
        assert getattr(pa, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'comparee'; it has"):
        pa.comparee  # noqa: B018
