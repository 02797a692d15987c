"""The workshop that made the miniature: its sprites, its CLIP and its learning rates. Not part of the package."""
