"""One NVIDIA GPU: its driver, its memory, streams, events and graphs."""
