"""Plots of a comparison's results, each drawn by one function from a `BoardQuery`."""
