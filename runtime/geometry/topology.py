"""Is a mesh a closed surface, and what can be done about it: edges, welding, loose components."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .mesh import Mesh


@dataclass(frozen=True)
class EdgeReport:
    """How the edges of a mesh are used; an edge is a pair of vertices.

    edges : how many there are
    boundary : used by one face
    non_manifold : used by more than two faces
    misoriented : used by two faces in the same direction
    degenerate : faces that use a vertex twice
    """

    edges: int
    boundary: int
    non_manifold: int
    misoriented: int
    degenerate: int

    @property
    def watertight(self) -> bool:
        """Every edge is used by exactly two faces, once each way, and there is at least one."""
        faults = self.boundary + self.non_manifold + self.misoriented + self.degenerate
        return self.edges > 0 and faults == 0


def edge_report(mesh: Mesh) -> EdgeReport:
    """Counts the edges of a mesh by their use; vertices at the same place are different vertices."""
    start, end = _half_edges(mesh.faces)
    key = _edge_keys(start, end, len(mesh.vertices))
    _, inverse, uses = np.unique(key, return_inverse=True, return_counts=True)
    forwards = np.bincount(inverse, start < end, len(uses))
    return EdgeReport(
        edges=len(uses), boundary=int((uses == 1).sum()), non_manifold=int((uses > 2).sum()),
        misoriented=int(((uses == 2) & (forwards != 1)).sum()),
        degenerate=int(_repeats_vertex(mesh.faces).sum()))


def is_watertight(mesh: Mesh) -> bool:
    """Whether the surface is closed, vertices at the same place taken as one.

    So the seams of a texture atlas and of sharp edges, which duplicate vertices, do not count.
    """
    faces = weld(mesh.vertices)[mesh.faces]
    start, end = _half_edges(faces[~_repeats_vertex(faces)])
    # Each edge twice, first backwards and then forwards. In order, that is an even number and the odd one behind it, and no number twice.
    uses = np.sort(2 * _edge_keys(start, end, len(mesh.vertices)) + (start < end))
    return len(uses) > 0 and len(uses) % 2 == 0 and bool(
        (uses[::2] % 2 == 0).all() and (uses[1::2] - uses[::2] == 1).all() and (uses[2::2] > uses[1:-1:2]).all())


def welded(mesh: Mesh) -> Mesh:
    """The mesh with vertices at bit-equal positions merged; each keeps the first one's attributes.

    Vertices come out in the order of their first use; unused ones and collapsed faces are left out.
    """
    place = weld(mesh.vertices)
    faces = np.unique(place, return_index=True)[1][place][mesh.faces]
    merged = mesh.replace(faces=faces[~_repeats_vertex(faces)].astype(np.int32))
    return merged.compacted()


def weld(vertices: np.ndarray) -> np.ndarray:
    """(n,) int64: the same number for all vertices (n, 3) at exactly the same place, as float32; numbered by z, then y, then x."""
    # Adding zero turns -0.0, which has other bits, into 0.0. Bits are compared as whole numbers in the order of the floats.
    bits = (np.ascontiguousarray(vertices, np.float32) + np.float32(0)).view(np.uint32)
    x, y, z = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31)).astype(np.uint64).T
    _, first = np.unique(z << np.uint64(32) | y, return_inverse=True)
    return np.unique(first.astype(np.uint64) << np.uint64(32) | x, return_inverse=True)[1]


def split_non_manifold_edges(mesh: Mesh) -> Mesh:
    """The mesh with every edge that 2 k faces share, k each way, turned into k edges of two faces.

    The faces are taken in pairs of opposite direction; all pairs but the first get a vertex of
    their own on the edge. The surface does not move, and welding does not undo it, as doubling
    the edge's ends would. New vertices copy the attributes of the edge's start. Edges that are not
    used equally both ways stay as they are. Where there are such edges at all, pairs of faces that
    lie back to back on the same three vertices are taken out first: they enclose nothing.
    """
    if not _spare_pairs(mesh):
        return mesh
    mesh = _without_back_to_back(mesh)
    while True:  # each round leaves fewer pairs, since a pair's new edges have two faces each
        pairs = _spare_pairs(mesh)
        if not pairs:
            return mesh
        mesh = _split_pairs(mesh, pairs)


def components(mesh: Mesh) -> np.ndarray:
    """(m,) int64: for each face the number of its connected component, from 0, by vertices shared."""
    faces = mesh.faces.astype(np.int64)
    links = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    roots = connected(len(mesh.vertices), links[:, 0], links[:, 1])
    return np.unique(roots[faces[:, 0]], return_inverse=True)[1]


def keep_components(mesh: Mesh, minimum: float = 0.01, *, cavities: bool = False) -> Mesh:
    """The mesh without loose bits.

    minimum : components with less than this share of the whole area are removed; the largest stays
    cavities : False also removes components that face inwards, the walls of hidden hollows
    """
    if not len(mesh.faces):
        return mesh
    label = components(mesh)
    count = int(label.max()) + 1
    areas = np.bincount(label, mesh.face_areas(), count)
    keep = areas >= minimum * areas.sum()
    if not cavities:
        keep &= np.bincount(label, _volumes(mesh), count) > 0
    keep[areas.argmax()] = True
    if keep.all():
        return mesh
    return mesh.replace(faces=mesh.faces[keep[label]]).compacted()


def connected(count: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(count,) int64: for each node the lowest node that links lead to.

    left, right : (k,) int, the ends of each link. Every round hooks the higher of two roots to the
    lower and then points each node at its root, so a few rounds are enough.
    """
    root = np.arange(count)
    while len(left):
        left, right = root[left], root[right]
        apart = left != right
        left, right = left[apart], right[apart]
        np.minimum.at(root, np.maximum(left, right), np.minimum(left, right))
        while True:
            above = root[root]
            if np.array_equal(above, root):
                break
            root = above
    return root


def _half_edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of the three half-edges of each face, each (3 m,) int64, face by face."""
    corners = faces.astype(np.int64)
    return corners.ravel(), corners[:, [1, 2, 0]].ravel()


def _edge_keys(start: np.ndarray, end: np.ndarray, count: int) -> np.ndarray:
    """(k,) int64: one number for each edge, whichever way it is used."""
    return np.minimum(start, end) * count + np.maximum(start, end)


def _repeats_vertex(faces: np.ndarray) -> np.ndarray:
    """(m,) bool: faces that use a vertex twice."""
    return (faces == faces[:, [1, 2, 0]]).any(axis=1)


def _volumes(mesh: Mesh) -> np.ndarray:
    """(m,) float64: what each face adds to six times the enclosed volume."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(np.float64) for k in range(3))
    return np.einsum("ij,ij->i", a, np.cross(b, c))


def _without_back_to_back(mesh: Mesh) -> Mesh:
    """The mesh without pairs of faces on the same vertices in opposite order."""
    ordered = np.sort(mesh.faces, axis=1)
    _, group, sizes = np.unique(ordered, axis=0, return_inverse=True, return_counts=True)
    least = mesh.faces.argmin(axis=1)
    rows = np.arange(len(mesh.faces))
    positive = mesh.faces[rows, (least + 1) % 3] == ordered[:, 1]
    drop = np.zeros(len(rows), bool)
    for members in _members(group, sizes, np.flatnonzero(sizes > 1)):
        one, other = members[positive[members]], members[~positive[members]]
        pairs = min(len(one), len(other))
        drop[one[:pairs]] = drop[other[:pairs]] = True
    return mesh.replace(faces=mesh.faces[~drop]).compacted() if drop.any() else mesh


def _members(group: np.ndarray, sizes: np.ndarray, wanted: np.ndarray) -> Iterator[np.ndarray]:
    """Of each wanted group its members in ascending order. group : (k,) int, of each member; sizes : of each group"""
    order, stops = np.argsort(group.ravel(), kind="stable"), np.cumsum(sizes)
    for one in wanted:
        yield order[stops[one] - sizes[one]:stops[one]]


def _spare_pairs(mesh: Mesh) -> list[tuple[int, int, float]]:
    """Pairs of half-edges (forwards, backwards) to move off their edge, and where along it to split.

    Half-edge h is the one that starts at corner h % 3 of face h // 3.
    """
    start, end = _half_edges(mesh.faces)
    keys = _edge_keys(start, end, len(mesh.vertices))
    ordered = np.sort(keys)
    if not (ordered[2:] == ordered[:-2]).any():
        return []
    _, inverse, uses = np.unique(keys, return_inverse=True, return_counts=True)
    pairs = []
    for half in _members(inverse, uses, np.flatnonzero(uses > 2)):
        forwards, backwards = half[start[half] < end[half]], half[start[half] > end[half]]
        if len(forwards) == len(backwards):
            pairs += [
                (int(forwards[k]), int(backwards[k]), k / len(forwards))
                for k in range(1, len(forwards))]
    return pairs


def _split_pairs(mesh: Mesh, pairs: list[tuple[int, int, float]]) -> Mesh:
    """Splits the faces of each pair at a new vertex on their edge; pairs that share a face wait."""
    faces, rows, positions = mesh.faces.tolist(), list(range(len(mesh.vertices))), []
    touched: set[int] = set()
    for forwards, backwards, share in pairs:
        if {forwards // 3, backwards // 3} & touched:
            continue
        touched |= {forwards // 3, backwards // 3}
        start, end = faces[forwards // 3][forwards % 3], faces[backwards // 3][backwards % 3]
        middle = len(rows)
        rows.append(start)
        positions.append((1 - share) * mesh.vertices[start] + share * mesh.vertices[end])
        for half in (forwards, backwards):
            corners = faces[half // 3]
            a, b, c = (corners[(half + k) % 3] for k in range(3))
            faces[half // 3] = [a, middle, c]
            faces.append([middle, b, c])
    split = mesh.select_vertices(np.array(rows), np.array(faces, np.int32))
    vertices = np.concatenate([mesh.vertices, np.array(positions, np.float32)])
    return split.replace(vertices=vertices)
