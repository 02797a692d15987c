"""Download, unpack and verify public datasets."""
