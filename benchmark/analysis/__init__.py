"""What predictions tell beyond accuracy, as boards beside the leaderboards. Needs no torch."""
