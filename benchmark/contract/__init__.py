"""Checks that a method plugin keeps the rules."""
