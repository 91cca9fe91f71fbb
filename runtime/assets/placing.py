"""Scale and pivot: where a mesh is put and how large it becomes, in metres."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from ..files.reader import Placement

# World axes: the front of an object looks along +x, its left is +y, up is +z.
AXES = {"depth": 0, "width": 1, "height": 2}


def placed(bounds: np.ndarray, stands: Placement, size: tuple[str, float] | None, origin: str) -> Placement:
    """Where a mesh is put.

    bounds : (2, 3) lowest and highest corner of the mesh, world axes
    stands : where it stands without all this, in metres
    size : the dimension, "height", "width" or "depth", and its metres; None keeps the size. What has no extent in it keeps its size too
    origin : "keep", where a new size leaves the origin where it is; "bottom" or "center" of the box
    """
    low, high = (np.asarray(corner, np.float64) for corner in bounds)
    scale, translation = stands.scale, np.array(stands.translation, np.float64)
    if size is not None and (extent := (high - low)[AXES[size[0]]] * scale) > 0:
        factor = size[1] / extent
        scale, translation = scale * factor, translation * factor
    if origin != "keep":
        pivot = (low + high) / 2
        if origin == "bottom":
            pivot[2] = low[2]
        translation = -pivot * scale
    return Placement((float(translation[0]), float(translation[1]), float(translation[2])), float(scale))


def known_size(sizes: Mapping[str, tuple[str, float]], prompt: str) -> tuple[str, float] | None:
    """The size of the thing that a prompt names: of the longest of the pack's names that stand in it as whole words, the first one."""
    words = f" {' '.join(re.findall(r'[a-z]+', prompt.lower()))} "
    found = [name for name in sizes if f" {name} " in words or f" {name}s " in words]
    return sizes[min(found, key=lambda name: (-len(name), words.index(name)))] if found else None
