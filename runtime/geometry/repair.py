"""What is wrong with meshes from elsewhere and can be put right without a guess about their shape."""

from __future__ import annotations

from collections import deque

import numpy as np

from .creases import shared_edges
from .mesh import Mesh
from .topology import components, edge_report, welded

CLOSE = 1e-5  # of the longest side: vertices nearer than that are one where this closes edges
# Of the holes that are closed: at most so many edges, and so wide, as a share of the longest side. Larger ones may be meant.
MAX_HOLE, WIDEST_HOLE = 64, 0.1


def repaired(mesh: Mesh) -> tuple[Mesh, tuple[str, ...]]:
    """The welded mesh, vertices and faces alone, and what was done to it, one sentence each.

    Vertices at one place become one, faces without area or that are there twice go, fronts are turned to agree and outwards, small
    holes are closed.
    """
    said: list[str] = []
    mesh = welded(Mesh(mesh.vertices, mesh.faces))
    near = _welded_near(mesh)
    if near is not mesh:
        said.append(f"{len(mesh.vertices) - len(near.vertices):,} vertices that lay almost at the same place were joined")
    single = _without_doubles(near)
    if len(single.faces) < len(near.faces):
        said.append(f"{len(near.faces) - len(single.faces):,} faces that were there twice were left out")
    turned, count = _turned(single)
    if count:
        said.append(f"{count:,} faces were turned around")
    closed, holes = _holes_closed(turned)
    if holes:
        said.append(f"{holes:,} small holes were closed")
    left = edge_report(closed)
    if left.boundary or left.non_manifold:
        said.append(f"{left.boundary:,} open edges and {left.non_manifold:,} edges of more than two faces are left")
    return closed, tuple(said)


def _welded_near(mesh: Mesh) -> Mesh:
    """With vertices in one cell of a fine grid joined, where that leaves fewer open edges and no new ones of more than two faces."""
    before = edge_report(mesh)
    if not before.boundary:
        return mesh
    cell = CLOSE * float(np.ptp(mesh.bounds, axis=0).max())
    snapped = welded(mesh.replace(vertices=(np.rint(mesh.vertices / cell) * cell).astype(np.float32))) if cell else mesh
    after = edge_report(snapped)
    return snapped if after.boundary < before.boundary and after.non_manifold <= before.non_manifold else mesh


def _without_doubles(mesh: Mesh) -> Mesh:
    """Each face once; its first corner may change."""
    first = np.take_along_axis(mesh.faces, (mesh.faces.argmin(axis=1)[:, None] + np.arange(3)) % 3, axis=1)
    _, rows = np.unique(first, axis=0, return_index=True)
    return mesh if len(rows) == len(mesh.faces) else mesh.replace(faces=mesh.faces[np.sort(rows)]).compacted()


def _turned(mesh: Mesh) -> tuple[Mesh, int]:
    """With fronts that agree within each part and look outwards where it is closed; and how many faces were turned."""
    flip = _disagreeing(mesh) if edge_report(mesh).misoriented else np.zeros(len(mesh.faces), bool)
    agreed = mesh.replace(faces=np.where(flip[:, None], mesh.faces[:, ::-1], mesh.faces))
    part = components(agreed)
    a, b, c = (agreed.vertices[agreed.faces[:, k]].astype(np.float64) for k in range(3))
    middle = agreed.vertices.mean(axis=0)
    volume = np.bincount(part, np.einsum("ij,ij->i", a - middle, np.cross(b - middle, c - middle)))
    left, _ = shared_edges(agreed.faces)
    closed = np.bincount(part, minlength=len(volume)) * 3 == 2 * np.bincount(part[left // 3], minlength=len(volume))
    outer = _is_outer(agreed, part)
    inwards = (closed & outer & (volume < 0))[part]
    return agreed.replace(faces=np.where(inwards[:, None], agreed.faces[:, ::-1], agreed.faces)), int((flip ^ inwards).sum())


def _is_outer(mesh: Mesh, part: np.ndarray) -> np.ndarray:
    """(parts,) bool: False for a part within the box of another one, which may be the wall of a hollow."""
    count = int(part.max()) + 1
    low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
    np.minimum.at(low, part, mesh.triangles().min(axis=1))
    np.maximum.at(high, part, mesh.triangles().max(axis=1))
    if count > 500:
        return np.ones(count, bool)
    inside = (low[:, None] > low[None]).all(axis=2) & (high[:, None] < high[None]).all(axis=2)
    return np.logical_not(np.any(inside, axis=1))


def _disagreeing(mesh: Mesh) -> np.ndarray:
    """(m,) bool: the faces to turn so that all that share an edge agree with the larger half of their part."""
    start, end = mesh.faces.ravel().astype(np.int64), mesh.faces[:, [1, 2, 0]].ravel().astype(np.int64)
    key = np.minimum(start, end) * (int(end.max()) + 1) + np.maximum(start, end)
    order = np.argsort(key, kind="stable")
    begins = np.flatnonzero(np.diff(key[order], prepend=-1))
    pairs = begins[np.diff(begins, append=len(order)) == 2]
    one, two = order[pairs], order[pairs + 1]
    same_way = start[one] == start[two]
    links: list[list[tuple[int, bool]]] = [[] for _ in mesh.faces]
    for left, right, same in zip((one // 3).tolist(), (two // 3).tolist(), same_way.tolist(), strict=True):
        links[left].append((right, same))
        links[right].append((left, same))
    flip, seen = np.zeros(len(mesh.faces), bool), np.zeros(len(mesh.faces), bool)
    for first in range(len(links)):
        if seen[first]:
            continue
        seen[first], waiting, group = True, deque([first]), [first]
        while waiting:
            face = waiting.popleft()
            for other, same in links[face]:
                if not seen[other]:
                    seen[other], flip[other] = True, flip[face] ^ same
                    waiting.append(other)
                    group.append(other)
        if flip[group].sum() > len(group) / 2:
            flip[group] = ~flip[group]
    return flip


def _holes_closed(mesh: Mesh) -> tuple[Mesh, int]:
    """With a fan over each small hole, and how many there were."""
    loops = [loop for loop in _holes(mesh) if len(loop) <= MAX_HOLE]
    size = float(np.ptp(mesh.bounds, axis=0).max())
    loops = [loop for loop in loops if float(np.ptp(mesh.vertices[loop], axis=0).max()) <= WIDEST_HOLE * size]
    vertices, faces = [mesh.vertices], [mesh.faces]
    for loop in loops:
        ends = loop[1:] + loop[:1]
        if len(loop) == 3:
            faces.append(np.array([loop], np.int32))
            continue
        middle = sum(map(len, vertices))
        vertices.append(mesh.vertices[loop].mean(axis=0, keepdims=True))
        faces.append(np.array([(a, b, middle) for a, b in zip(loop, ends, strict=True)], np.int32))
    return Mesh(np.concatenate(vertices), np.concatenate(faces)), len(loops)


def _holes(mesh: Mesh) -> list[list[int]]:
    """The outlines of holes, in the direction that faces within them have: those whose vertices each have one edge in and one out."""
    start, end = mesh.faces.ravel().astype(np.int64), mesh.faces[:, [1, 2, 0]].ravel().astype(np.int64)
    count = len(mesh.vertices)
    forwards, backwards = start * count + end, end * count + start
    lonely = ~np.isin(forwards, backwards)
    following: dict[int, int] = {}
    for a, b in zip(end[lonely].tolist(), start[lonely].tolist(), strict=True):
        following[a] = -1 if a in following else b  # -1: where two holes touch
    loops, used = [], set()
    for first in following:
        loop, vertex = [], first
        while vertex not in used and following.get(vertex, -1) >= 0:
            used.add(vertex)
            loop.append(vertex)
            vertex = following[vertex]
        if len(loop) >= 3 and vertex == first:
            loops.append(loop)
    return loops
