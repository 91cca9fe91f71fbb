"""How long things take on a processor, beside PyTorch and other peers: `python -m benchmarks.latency`, and the commands beside it."""
