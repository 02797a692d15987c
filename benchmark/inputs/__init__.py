"""Images as a method sees them: transforms, frozen features, and their cache."""
