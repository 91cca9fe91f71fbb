"""The published models at their full size, with random weights: `python -m benchmarks.full_size`, and `.parity` for accuracy."""
