"""Two published methods for promptarena, one file each."""
