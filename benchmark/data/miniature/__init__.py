"""The embedded miniature: its image pack, renderer, pretraining and zero-shot table."""
