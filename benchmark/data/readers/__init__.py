"""One file per dataset layout on disk."""
