"""Seeded weights written tensor by tensor, in the two file formats of the published checkpoints."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

Shapes = Mapping[str, tuple[int, ...]]
# Makes of a tensor's name and its plain random values what a checkpoint needs there.
Shaping = Callable[[str, np.ndarray], np.ndarray]
SAFETENSORS_TYPES = {"float16": "F16", "float32": "F32", "int64": "I64", "uint8": "U8", "bool": "BOOL"}
# Last maps of residual branches, damped: activations of a deep network stay near 1. Not those that bring the text in.
BRANCH_ENDS = ("attn1.to_out.0.weight", "ff.net.2.weight", "conv2.weight", "proj_out.weight", "out_proj.weight", "fc2.weight",
               "mlp.3.weight", "output.dense.weight", "proj_attn.weight")
# Learned tokens and positions, which no matrix multiplies.
TABLES = re.compile(r"(token|position|positional)_embeddings?\b|cls_token|pos_embed")


@dataclass(frozen=True)
class Weights:
    """The tensors of one checkpoint, each made when it is asked for.

    label : of the checkpoint; with `seed` and a tensor's name it settles the random values
    seed : None for an outline: one number in place of all of a tensor's values, so that the files are small (pickles only)
    extras : tensors that hold no weights, such as tables of integers
    """

    label: str
    shapes: Shapes
    seed: int | None = 0
    dtype: str = "float32"
    shaping: Shaping | None = None
    extras: Mapping[str, np.ndarray] | None = None

    def names(self) -> list[str]:
        return [*self.shapes, *(self.extras or {})]

    def spec(self, name: str) -> tuple[str, tuple[int, ...]]:
        """NumPy type name and shape."""
        extra = (self.extras or {}).get(name)
        return (self.dtype, tuple(self.shapes[name])) if extra is None else (extra.dtype.name, extra.shape)

    def tensor(self, name: str) -> np.ndarray:
        if name in (self.extras or {}):
            return self.extras[name]
        if self.seed is None:
            return np.lib.stride_tricks.as_strided(np.ones(1, np.float32), self.shapes[name], (0,) * len(self.shapes[name]))
        values = plain(name, self.shapes[name], np.random.default_rng([self.seed, *f"{self.label}/{name}".encode()]))
        return (self.shaping(name, values) if self.shaping else values).astype(self.dtype, copy=False)


def plain(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Float32 values that keep activations near 1: matrices by their fan-in, norms around 1, biases around 0."""
    values = rng.standard_normal(shape, np.float32)
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "clip_std" or len(shape) == 1 and leaf == "weight":
        return 1 + 0.05 * values
    if leaf == "clip_mean" or len(shape) == 1:
        return 0.05 * values
    if TABLES.search(name):
        return 0.5 * values
    fan_in = shape[0] if "deconv" in name else prod(shape[1:])
    damping = 0.3 if name.endswith(BRANCH_ENDS) else 0.2 if "adaLN" in name else 1.0
    values *= np.float32(damping * fan_in**-0.5)
    return values


def write_safetensors(path: Path, weights: Weights) -> Path:
    """Header, then one tensor after the other: no more than one of them is in memory."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in weights.names():
        dtype, shape = weights.spec(name)
        begin, end = end, end + prod(shape) * np.dtype(dtype).itemsize
        header[name] = {"dtype": SAFETENSORS_TYPES[dtype], "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in weights.names():
            file.write(np.ascontiguousarray(weights.tensor(name)).reshape(-1).view(np.uint8).data)
    return path


def write_pickle(path: Path, weights: Weights, *, prefix: str = "", nested: bool = False) -> Path:
    """As `torch.save` writes a state dict, or a dict that holds one under "state_dict"; `prefix` goes ahead of each key."""
    import torch

    tensors = {prefix + name: torch.from_numpy(weights.tensor(name)) for name in weights.names()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": tensors} if nested else tensors, path)
    return path
