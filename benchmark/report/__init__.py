"""All leaderboards of a suite and the HTML report."""
