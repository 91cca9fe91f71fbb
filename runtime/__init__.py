"""Meshwright's run time: from a prompt and a pack to a textured mesh."""
