"""Reads and writes meshes."""
