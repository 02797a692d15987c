"""From results to leaderboards."""
