"""Weights files in every format."""

from pathlib import Path

import openai_files
import tiny

QUICK = tiny.config(quick_gelu=True)
DRAWN = openai_files.drawn(QUICK)
Files = dict[str, Path]
