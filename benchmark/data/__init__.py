"""Datasets on disk: cards, splits, few-shot splits, images."""
