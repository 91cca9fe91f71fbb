"""The published checkpoints, read from their own folders and files."""
