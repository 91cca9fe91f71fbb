"""Reads and writes meshes."""

# What our own files say wrote them.
GENERATOR = "Meshwright"
