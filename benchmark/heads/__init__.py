"""Head diagnosis: the concepts that each attention head of the image tower represents, and its role."""
