"""One frozen CLIP: its towers, its weights, and exact accelerations."""
