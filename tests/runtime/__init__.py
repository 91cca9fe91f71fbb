"""Tests of `meshwright.runtime`."""
