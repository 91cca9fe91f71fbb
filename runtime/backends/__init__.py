"""Which backend runs each component of a pack, and the open models."""
