"""Scripts for this repository; none is part of the package."""
