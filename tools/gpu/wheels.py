"""Prints the packages that the check needs and this interpreter lacks; it runs without any of them."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

BESIDES = ("pytest", "setuptools")
"""Golden cases are read by modules of the tests; setuptools installs the package."""


def missing() -> list[str]:
    """The requirements that are not installed, as pip takes them; versions are not compared."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    lacking = []
    for requirement in (*project["project"]["dependencies"], *BESIDES):
        try:
            version(re.split(r"[\s<>=!~;\[]", requirement)[0])
        except PackageNotFoundError:
            lacking.append(f"'{requirement}'")
    return lacking


if __name__ == "__main__":
    print(" ".join(missing()))
