"""Files on this machine: written as one result or not at all, locked, hashed, trusted."""
