"""Prompt learners, one file per method."""
