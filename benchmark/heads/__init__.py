"""Head diagnosis: which concepts each attention head of the image tower writes, and the role it gets from that."""
