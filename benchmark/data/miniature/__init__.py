"""The embedded miniature: its picture pack, renderer, pretraining and zero-shot table."""
