"""Is a mesh sound: loose pieces, handles that the thing does not have, and flat parts that stay flat.

Pieces and handles: those of the finished mesh beyond the most that any fresh prop of the same family has (`families`: 12 props a
family, which cover its designs). A fresh prop's own are counted on the surface of its exact distance, extracted as the pack's field
is: what the grid cannot tell apart counts for neither.

Flat parts: pairs of neighbouring faces of which both centres lie within 0.02 of the true surface, where the true normals differ by
less than one degree. The figure is the median angle between the normals of such faces. A curved part never counts.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from meshwright.export.props.world.families import FAMILIES
from meshwright.export.props.world.world import Prop, make_prop
from meshwright.runtime.geometry.denoise import edge_neighbours
from meshwright.runtime.geometry.isosurface import extract
from meshwright.runtime.geometry.mesh import Mesh, normalized
from meshwright.runtime.geometry.topology import components, keep_components, welded
from meshwright.runtime.recipes.rebuild import SPECK

from . import families as fresh

NEAR, STEP = 0.02, np.float32(2e-3)
FLAT = np.cos(np.radians(1.0))
# A prop's parts may meet in a face at which the distance is zero on both sides; such parts are one.
TOUCHING = np.float32(1e-3)


def pieces_and_handles(mesh: Mesh) -> tuple[int, int]:
    """How many connected surfaces a closed mesh has, and the sum of their genera; vertices at the same place are one."""
    mesh = welded(mesh)
    if not len(mesh.faces):
        return 0, 0
    edges = np.unique(np.sort(_edges(mesh.faces), axis=1), axis=0)
    pieces = int(components(mesh).max()) + 1
    return pieces, pieces - (len(mesh.vertices) - len(edges) + len(mesh.faces)) // 2


@cache
def most_of_family(family: str, resolution: int, extent: float) -> tuple[int, int]:
    """The most pieces, and the most handles, of the fresh props of a family on this grid."""
    first = fresh.FIRST_SEED + list(FAMILIES).index(family) * fresh.PER_FAMILY
    counts = [pieces_and_handles(true_surface(make_prop(first + i, family), resolution, extent)) for i in range(fresh.PER_FAMILY)]
    pieces, handles = zip(*counts, strict=True)
    return max(pieces), max(handles)


def true_surface(prop: Prop, resolution: int, extent: float) -> Mesh:
    """The mesh of a prop's exact distance, without specks, as a pack's field is extracted."""
    return keep_components(extract(lambda points: {"sdf": prop.distances(points)[0] - TOUCHING}, None, resolution, extent), SPECK)


def excess(mesh: Mesh, families: tuple[str, ...], resolution: int, extent: float) -> dict[str, int]:
    """Pieces and handles of a mesh above the most that props of the families have."""
    most = [most_of_family(family, resolution, extent) for family in families]
    found = pieces_and_handles(mesh)
    return {name: max(0, found[k] - max(counts[k] for counts in most)) for k, name in enumerate(("extra_pieces", "extra_handles"))}


def flat_angle(mesh: Mesh, prop: Prop) -> float | None:
    """Median angle in degrees between neighbouring faces of the mesh on flat parts of the prop; None if there are none."""
    mesh = welded(mesh)
    left, right = edge_neighbours(mesh.faces)
    centres, normals = mesh.triangles().mean(axis=1), mesh.face_normals()
    near, truth = np.abs(prop.distances(centres)[0]) < NEAR, _true_normals(prop, centres)
    flat = near[left] & near[right] & ((truth[left] * truth[right]).sum(axis=1) > FLAT)
    if not flat.any():
        return None
    cosine = (normals[left[flat]] * normals[right[flat]]).sum(axis=1)
    return float(np.degrees(np.median(np.arccos(np.clip(cosine, -1, 1)))))


def _edges(faces: np.ndarray) -> np.ndarray:
    """(3 n, 2): the half-edges of faces (n, 3), first those from corner 0 to 1."""
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def _true_normals(prop: Prop, points: np.ndarray) -> np.ndarray:
    """(n, 3): the direction in which the prop's distance grows."""
    steps = np.eye(3, dtype=np.float32) * STEP
    return normalized(np.stack([prop.distances(points + step)[0] - prop.distances(points - step)[0] for step in steps], axis=1))
