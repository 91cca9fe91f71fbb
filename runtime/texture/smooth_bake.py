"""A colour field on a large texture: asked for the corners of blocks of texels, and for all texels only where colours change.

A texel of a large texture is far smaller than a cell of the triplanes that carry the field, so most of its neighbours
have its colour. Blocks whose corners agree are interpolated, the others are halved, as in a quadtree.
"""

from __future__ import annotations

import numpy as np

from .atlas import Atlas
from .bake import Baked, ColorQuery, bake_field

LARGE = 2048  # textures of more texels along a side are baked so
BLOCKS = (8, 4)  # texels along the sides of blocks, the larger ones first
# How far the corners of a block may lie apart: a colour in between is then off by as much at the most, unless the field
# changes within less than a block and back again.
AGREEMENT = np.float32(3 / 255)


def bake_smooth_field(atlas: Atlas, color_query: ColorQuery) -> Baked:
    """As `bake_field`, with interpolated colours inside of blocks that lie wholly on a chart and have nearly one colour.

    atlas : rows and size are multiples of the largest block
    """
    count = len(atlas.texel)
    colors, known = np.zeros((count, 3), np.float32), np.zeros(count, bool)
    flat = np.full((atlas.rows[1] - atlas.rows[0]) * atlas.size, -1, np.int32)
    flat[atlas.texel - atlas.rows[0] * atlas.size] = np.arange(count)
    row_of = flat.reshape(-1, atlas.size)
    done = np.zeros(count, bool)
    for side in BLOCKS:
        blocks = row_of.reshape(len(row_of) // side, side, -1, side).transpose(0, 2, 1, 3).reshape(-1, side, side)
        blocks = blocks[(blocks >= 0).all(axis=(1, 2))]
        blocks = blocks[~done[blocks[:, 0, 0]]]  # no part of a larger block that is done
        corners = blocks[:, [0, 0, -1, -1], [0, -1, 0, -1]]
        _ask(atlas, color_query, colors, known, corners.ravel())
        ends = colors[corners]
        agree = (ends.max(axis=1) - ends.min(axis=1)).max(axis=1) <= AGREEMENT
        inside = blocks[agree]
        colors[inside.reshape(-1)] = np.einsum("bcx,tc->btx", ends[agree], _bilinear(side)).reshape(-1, 3)
        known[inside.reshape(-1)] = done[inside.reshape(-1)] = True
    _ask(atlas, color_query, colors, known, np.arange(count))
    return Baked(colors, np.ones(count, np.float32))


def _ask(atlas: Atlas, color_query: ColorQuery, colors: np.ndarray, known: np.ndarray, rows: np.ndarray) -> None:
    """Fill in, in place, the colours of those of the rows that are not known yet."""
    rows = rows[~known[rows]]
    colors[rows] = bake_field(atlas, color_query, rows).colors[rows]
    known[rows] = True


def _bilinear(side: int) -> np.ndarray:
    """(side * side, 4) float32: the shares of the corners in each texel of a block, row by row."""
    along = np.linspace(0, 1, side, dtype=np.float32)
    ends = np.stack([1 - along, along], axis=1)
    return np.einsum("yi,xj->yxij", ends, ends).reshape(-1, 4)
