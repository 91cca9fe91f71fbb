"""From the colours of some texels to a whole texture: what no view saw, and the space between charts."""

from __future__ import annotations

import numpy as np

from .atlas import Atlas
from .bake import Baked
from .boxmap import weld
from .mesh import Mesh

SPREAD_ROUNDS = 200  # averages over the vertex graph; each carries colour one edge further
SETTLE_ROUNDS = 10  # more, once every vertex has a colour, to soften where fronts met
UNSEEN = 2e-5  # the weight at which a texel gets half of its colour from its surroundings
GUTTER = 4  # texels around each chart that repeat its border
GREY = np.float32(0.5)  # where nothing at all is known


def fill_unseen(atlas: Atlas, mesh: Mesh, baked: Baked) -> np.ndarray:
    """(k, 3) float32: the colours, with badly seen texels taken from what was seen near them.

    Seen colours are gathered at the vertices, spread along the edges of the mesh into the vertices
    that have none, and interpolated over each face; so colour travels on the surface and does not
    jump across a gap. A part of which nothing was seen gets the mean colour.
    """
    vertex = weld(mesh.vertices)
    corners = vertex[mesh.faces[atlas.face]]
    if (baked.weight > 100 * UNSEEN).all():
        return baked.colors
    colors, known = _gather(corners, atlas.weights, baked, int(vertex.max()) + 1)
    colors = _spread(colors, known, vertex[mesh.faces])
    around = sum(colors[corners[:, k]] * atlas.weights[:, k, None] for k in range(3))
    share = (baked.weight / (baked.weight + np.float32(UNSEEN)))[:, None]
    return (share * baked.colors + (1 - share) * around).astype(np.float32)


def to_texture(atlas: Atlas, colors: np.ndarray) -> np.ndarray:
    """(size, size, 3) uint8: the texels, their borders repeated outwards, and no empty space.

    The gutter keeps linear filtering clean, the filled rest keeps the small mip levels clean.

    colors : (k, 3) float in [0, 1]
    """
    size = atlas.size
    image = np.zeros((size * size, 3), np.float32)
    filled = np.zeros(size * size, bool)
    image[atlas.texel] = colors
    filled[atlas.texel] = True
    for _ in range(GUTTER):
        _dilate(image, filled, size)
    whole = _fill_pyramid(image.reshape(size, size, 3), filled.reshape(size, size))
    return (np.clip(whole, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)


def _gather(corners: np.ndarray, weights: np.ndarray, baked: Baked, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean colour (count, 3) of the seen texels around each vertex, and known (count,) bool."""
    share = (weights * weights * baked.weight[:, None]).ravel()
    index = corners.ravel()
    total = np.bincount(index, share, count)
    sums = [np.bincount(index, share * np.repeat(baked.colors[:, c], 3), count) for c in range(3)]
    known = total > UNSEEN
    return np.stack(sums, axis=1) / np.maximum(total, 1e-12)[:, None], known


def _spread(colors: np.ndarray, known: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(n, 3): every vertex without a colour gets the mean of its neighbours, in rounds outwards."""
    one, two = faces.ravel(), faces[:, [1, 2, 0]].ravel()
    start, end = np.concatenate([one, two]), np.concatenate([two, one])
    open_end = ~known[end]
    start, end = start[open_end], end[open_end]
    has = known.astype(np.float64)
    values = np.where(known[:, None], colors, 0.0)
    settle = SETTLE_ROUNDS
    for _ in range(SPREAD_ROUNDS):
        total = np.bincount(end, has[start], len(has))
        mean = [np.bincount(end, has[start] * values[start, c], len(has)) for c in range(3)]
        reached = (total > 0) & ~known
        values[reached] = (np.stack(mean, axis=1)[reached]) / total[reached, None]
        settle -= bool((has[reached] > 0).all())
        has[reached] = 1.0
        if settle == 0:
            break
    rest = colors[known].mean(axis=0) if known.any() else GREY
    return np.where(has[:, None] > 0, values, rest)


def _dilate(image: np.ndarray, filled: np.ndarray, size: int) -> None:
    """Give each empty texel beside filled ones their mean, in place. image : (size * size, 3)"""
    full = np.zeros((size + 2, size + 2), bool)
    full[1:-1, 1:-1] = filled.reshape(size, size)
    near = full[1:-1, :-2] | full[1:-1, 2:] | full[:-2, 1:-1] | full[2:, 1:-1]
    rows = np.flatnonzero(near.ravel() & ~filled)
    total, count = np.zeros((len(rows), 3), np.float32), np.zeros((len(rows), 1), np.float32)
    column = rows % size
    for offset, valid in ((-1, column > 0), (1, column < size - 1),
                          (-size, rows >= size), (size, rows < size * (size - 1))):
        source = np.where(valid, rows + offset, rows)  # a texel itself is empty, so it adds nothing
        weight = filled[source][:, None].astype(np.float32)
        total += image[source] * weight
        count += weight
    image[rows] = total / count
    filled[rows] = True


def _fill_pyramid(image: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """The image with empty pixels taken from the smallest mip level that knows them; (h, w, 3), sides even or 1."""
    if filled.all() or len(image) % 2:
        return image
    height, width = filled.shape
    blocks = filled.reshape(height // 2, 2, width // 2, 2)
    count = blocks.sum(axis=(1, 3))
    empty_free = image * filled[..., None]
    sums = empty_free.reshape(height // 2, 2, width // 2, 2, 3).sum(axis=(1, 3))
    smaller = _fill_pyramid(sums / np.maximum(count, 1)[..., None], count > 0)
    return np.where(filled[..., None], image, smaller.repeat(2, axis=0).repeat(2, axis=1))
