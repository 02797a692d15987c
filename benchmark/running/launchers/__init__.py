"""The launchers that `--launcher` offers, a file each."""
