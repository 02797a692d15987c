"""Recorded runs as plain files."""
