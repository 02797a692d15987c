"""The command line: declares the commands and their options."""
