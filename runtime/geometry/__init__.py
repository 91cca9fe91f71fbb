"""Meshes, cameras, rendering, and surfaces of fields."""
