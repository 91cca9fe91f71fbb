"""Texture coordinates: nearly flat charts, packed without overlap.

Everything is vectorised and in process; the time grows about linearly with the mesh (6,000 faces take less than a tenth of a second),
and an interrupt gets through at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...engines.errors import InputError
from ..geometry.mesh import Mesh
from .atlas import rasterize_rows
from .charts import Adjacency, flattened, make_charts
from .packing import flat_area, pack

PADDING = 4  # texels between charts, so that two mip levels stay clean
# Texels along a side of the texture in which faces of one chart that lie over one another are looked for.
COARSEST_LOOK, FINEST_LOOK = 512, 2048
SEPARATIONS = 5  # rounds in which such faces are taken apart; after the last each that is hidden is a chart of its own


@dataclass(frozen=True, eq=False)
class Unwrapped:
    """A mesh with texture coordinates.

    mesh : same faces in the same order, vertices repeated along the seams; `uvs` set
    source : (n,) int32, for each vertex the vertex of the input that it copies
    """

    mesh: Mesh
    source: np.ndarray


def unwrap(mesh: Mesh, texture_size: int) -> Unwrapped:
    """Cut the mesh into charts and pack them, without overlap, into the unit square. The same input gives the same output.

    texture_size : texels along a side, a power of two from 16, else InputError; sets the space between charts
    """
    if texture_size < 16 or texture_size & (texture_size - 1):
        raise InputError("texture size", received=str(texture_size), expected="a power of two from 16",
                         remedy="choose 512 or 1024")
    if len(mesh.faces) == 0:
        source = np.zeros(0, np.int64)
        return Unwrapped(mesh.select_vertices(source, mesh.faces).replace(uvs=np.zeros((0, 2), np.float32)), source.astype(np.int32))
    source, faces, uvs = _merge_corners(mesh.faces, *_charted(mesh, texture_size))
    return Unwrapped(mesh.select_vertices(source, faces).replace(uvs=uvs), source.astype(np.int32))


def _charted(mesh: Mesh, texture_size: int) -> tuple[np.ndarray, np.ndarray]:
    """The chart (m,) of each face, and the corners (m, 3, 2) float64 in [0, 1]."""
    adjacency = Adjacency.of(mesh)
    chart = make_charts(adjacency)
    flat, height = flattened(mesh, adjacency, chart)
    for separation in range(1, SEPARATIONS + 1):
        hidden = _hidden(flat, chart, height, min(max(texture_size, COARSEST_LOOK), FINEST_LOOK))
        if not len(hidden):
            break
        label = 2 * chart
        label[hidden] = 2 * chart[hidden] + 1 if separation < SEPARATIONS else 2 * len(chart) + hidden
        chart = adjacency.parts(label)
        flat, height = flattened(mesh, adjacency, chart)
    return chart, pack(flat, chart, adjacency.outline(chart), PADDING / texture_size)


def _hidden(flat: np.ndarray, chart: np.ndarray, height: np.ndarray, size: int) -> np.ndarray:
    """(k,) int: the faces that lie below another one of their chart on some texel of a texture of size x size that all would fill.

    height : (m,), larger in front
    """
    low, high = np.full((2, int(chart.max()) + 1, 2), [[[np.inf]], [[-np.inf]]])
    np.minimum.at(low, chart, flat.min(axis=1))
    np.maximum.at(high, chart, flat.max(axis=1))
    scale = size / max(np.sqrt(flat_area(flat)), 1e-30)
    boxes = np.ceil((high - low) * scale).astype(np.int64) + 1
    low[:, 1] -= (np.cumsum(boxes[:, 1]) - boxes[:, 1]) / scale  # in one strip, one below the other
    face, texel = rasterize_rows((flat - low[chart][:, None]) * scale, int(boxes[:, 1].sum()), int(boxes[:, 0].max()))
    shared = _repeated(texel, int(boxes[:, 1].sum()) * int(boxes[:, 0].max()))
    face, texel = face[shared], texel[shared]
    order = np.lexsort((-height[face], texel))
    face, texel = face[order], texel[order]
    return np.unique(face[np.diff(texel, prepend=-1) == 0])


def _repeated(numbers: np.ndarray, count: int) -> np.ndarray:
    """(k,) bool: which of the numbers (k,) int from 0 to `count` come more than once."""
    index, last = np.arange(len(numbers), dtype=np.int32), np.empty(count, np.int32)
    last[numbers] = index
    repeated = np.zeros(count, bool)
    repeated[numbers[last[numbers] != index]] = True
    return repeated[numbers]


def _merge_corners(faces: np.ndarray, chart: np.ndarray, uvs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One vertex for each (vertex, chart) pair in place of one for each corner: source (n,), faces (m, 3), uvs (n, 2) float32."""
    key = np.repeat(chart.astype(np.int64), 3) * (int(faces.max()) + 1) + faces.ravel()
    first, inverse = np.unique(key, return_index=True, return_inverse=True)[1:]
    source = faces.ravel()[first].astype(np.int64)
    return source, inverse.reshape(-1, 3).astype(np.int32), uvs.reshape(-1, 2)[first].astype(np.float32)
