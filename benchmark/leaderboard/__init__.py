"""From recorded results to leaderboards."""
