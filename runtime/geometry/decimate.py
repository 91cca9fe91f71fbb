"""Fewer faces by quadric edge collapse (Garland and Heckbert 1997), through fast-simplification."""

from __future__ import annotations

import threading

import numpy as np

from ...engines.errors import InputError
from .mesh import Mesh
from .topology import is_watertight, split_non_manifold_edges

MIN_FACES = 4  # a tetrahedron: nothing smaller encloses space
# (fraction of the budget, aggressiveness): tried in this order until a closed mesh stays closed.
# Where thin parts fold onto one another, edges end up with four faces: those are split. A gentler collapse or a
# slightly smaller target takes another path.
ATTEMPTS = ((0.99, 7.0), (0.97, 5.0), (0.9, 3.0), (0.8, 7.0))

_library_state = threading.Lock()  # the library keeps the mesh in globals between its calls


def decimate(mesh: Mesh, faces: int) -> Mesh:
    """The mesh with at most `faces` triangles; vertices and faces only, other attributes are dropped.

    A mesh that has few enough faces comes back as it is. A watertight mesh stays watertight wherever
    one of a few attempts manages it, which small budgets on thin parts can make impossible;
    `checks.is_watertight` tells. The same input gives the same output.

    faces : int >= 4, else InputError
    """
    if faces < MIN_FACES:
        raise InputError(subject="faces", received=str(faces), expected=f"an integer from {MIN_FACES}",
                         remedy="ask for more faces")
    if len(mesh.faces) <= faces:
        return mesh
    closed = is_watertight(mesh)
    first = None
    for fraction, aggressiveness in ATTEMPTS:
        target = max(MIN_FACES, int(faces * fraction))
        candidate = _collapse(mesh, target, aggressiveness)
        if len(candidate.faces) > faces:
            continue
        if not closed:
            return candidate
        for closing in (candidate, split_non_manifold_edges(candidate)):
            if len(closing.faces) <= faces and is_watertight(closing):
                return closing
        first = first or candidate
    return first or _collapse(mesh, faces, 10.0)


def _collapse(mesh: Mesh, target: int, aggressiveness: float) -> Mesh:
    """One run of the library, in a unit box because its error threshold is absolute."""
    from fast_simplification import simplify

    low, high = mesh.bounds.astype(np.float64)
    scale = float((high - low).max()) or 1.0
    points = (mesh.vertices.astype(np.float64) - low) / scale
    with _library_state:
        points, faces = simplify(points, mesh.faces.astype(np.int32), target_count=target, agg=aggressiveness)
    vertices = (points * scale + low).astype(np.float32)
    return Mesh(vertices, np.asarray(faces, np.int32)).compacted()
