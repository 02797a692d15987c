"""Numbers from papers and the distances to them."""
