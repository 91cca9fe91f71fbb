"""Runs one model file on one backend."""
