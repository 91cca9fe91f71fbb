"""LoRA files for tests, written by the safetensors package."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
RANK = 2


def matrices(shape=(6, 5), rank=RANK, seed=0):
    """down and up of a layer whose weight has that shape."""
    rng = np.random.default_rng(seed)
    up = (shape[0], rank) if len(shape) == 2 else (shape[0], rank, 1, 1)
    return rng.standard_normal((rank, *shape[1:])).astype(np.float32), rng.standard_normal(up).astype(np.float32)


def write(path: Path, tensors, notes=None) -> Path:
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, path, notes)
    return path


def layers(path: Path, shapes, notes=None, **options) -> Path:
    """A file in PEFT's layout for layers of those shapes by name."""
    tensors = {}
    for i, (name, shape) in enumerate(shapes.items()):
        down, up = matrices(shape, seed=i, **options)
        tensors |= {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}
    return write(path, tensors, notes)
