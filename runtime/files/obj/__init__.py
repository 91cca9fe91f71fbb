"""Wavefront OBJ and MTL, read."""
