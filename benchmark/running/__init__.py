"""Carries out a plan: the comparison, its schedule and its workers."""
