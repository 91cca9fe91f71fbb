"""Measurements of quality and of speed: `python -m benchmarks.props_quality`, `python -m benchmarks.latency`."""
