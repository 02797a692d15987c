"""Runs on other machines: what travels to them, actors of Ray, and jobs of SLURM."""
