"""Meshes: the type, checks, decimation, unwrapping, baking and files."""
