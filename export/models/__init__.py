"""PyTorch modules that no library carries, with the parameter names of the published checkpoints."""
