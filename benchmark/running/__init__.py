"""Runs a plan: the comparison, its schedule and its workers."""
