"""Measurements, a folder each: `python -m benchmarks.quality`, `.latency`, `.full_size`, `.gpu` and `.hard`."""
