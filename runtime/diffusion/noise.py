"""Seeded Gaussian noise, drawn on the host so that every backend denoises the same latents."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np


def normal(seed: int, stream: str, shape: Sequence[int]) -> np.ndarray:
    """float32 of `shape`, standard normal: element i, in C order, depends on seed, stream and i alone.

    seed   : 0 to 2**64 - 1
    stream : a name for what the noise is for, such as "prior/init"; streams of one seed are independent

    Words of the counter-based generator Philox 4x64-10 (Salmon et al., SC 2011), keyed by the seed and a hash of
    the stream's name, become normals by the Box-Muller transform. numpy's own `standard_normal` is not used,
    because numpy may change its algorithm; the words of a bit generator are promised to stay.
    """
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed {seed} is not in 0 to 2**64 - 1")
    count = int(np.prod(shape, dtype=np.int64))
    name = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:8], "little")
    words = np.random.Philox(key=np.array([seed, name], np.uint64)).random_raw(count + count % 2)
    uniform = (words >> np.uint64(11)).reshape(-1, 2)  # 53 bits, as many as a float64 holds
    radius = np.sqrt(-2.0 * np.log((uniform[:, 0] + 1.0) * 2.0**-53))  # of (0, 1], so that the logarithm is finite
    angle = uniform[:, 1] * (2.0 * np.pi * 2.0**-53)
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return pairs.reshape(-1)[:count].astype(np.float32).reshape(tuple(shape))
