"""Leaderboards as text, one file per format."""
