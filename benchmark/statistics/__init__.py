"""What the results of a comparison show: intervals, paired comparisons, ranks, and sentences about them."""
