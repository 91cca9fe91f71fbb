"""Built engines on disk: key, entry, what was measured on each, lock, prune."""
