"""Figures of a comparison, each from one function on the tidy frame."""
