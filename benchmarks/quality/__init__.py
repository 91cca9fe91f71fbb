"""How good the bundled pack is: `python -m benchmarks.quality`, and what docs show of it (`.gallery`, `.outside`, `.edits`)."""
