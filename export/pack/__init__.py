"""Writes a pack: parity, golden inputs, a folder that is whole or absent."""
