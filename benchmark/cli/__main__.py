"""`python -m promptarena.benchmark.cli` is the command `promptarena`."""

from promptarena.benchmark.cli.main import main

main()
