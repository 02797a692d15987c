"""The command line: declares commands."""
