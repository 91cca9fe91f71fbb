"""From PyTorch checkpoints to packs."""
