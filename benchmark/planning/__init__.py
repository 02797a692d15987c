"""What to run: suites, protocols, run keys and estimates."""
