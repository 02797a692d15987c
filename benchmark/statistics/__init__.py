"""What the figures of a comparison allow to say: intervals, paired comparisons, ranks, and both in words."""
