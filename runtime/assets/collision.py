"""Collision shapes: a box, a convex hull, or convex parts by CoACD (Wei et al. 2022), by V-HACD where that fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...engines.errors import BackendUnavailable
from ...engines.machine.isolated import IsolatedFailure, run_isolated
from ..geometry.convex import box, convex_hull
from ..geometry.decimate import decimate
from ..geometry.distance import distances, surface_points
from ..geometry.mesh import Mesh, area_vectors
from ..geometry.raycast import Scene
from ..geometry.topology import is_watertight

MAX_CORNERS = 32  # of each hull: what the physics of the engines takes gladly
ENOUGH_FACES = 1000  # that a decomposition looks at
TIMEOUT_S = 60.0  # for each library
LIBRARIES = ("coacd", "vhacdx")
WORKER = Path(__file__).with_name("hull_worker.py")
SAMPLES = 20_000
INSTALL = "pip install 'meshwright[collision]'"


@dataclass(frozen=True, eq=False)
class Collision:
    """Collision shapes of a mesh, in its axes and units.

    kind : "box" or "hull", as an engine has to name them
    hulls : closed and convex, at most 32 vertices each, faces outwards
    method : what made them
    missing, extra : volume of the mesh that the hulls do not cover, and that they cover beside it, as shares of the mesh's; None for a
        mesh that is not closed. By 20,000 random points, so to about 1 %
    mean_error, largest_error : distance of the mesh's surface from that of the hulls, as shares of its longest side
    """

    kind: str
    hulls: tuple[Mesh, ...] = field(repr=False)
    method: str
    missing: float | None
    extra: float | None
    mean_error: float
    largest_error: float
    notices: tuple[str, ...] = ()

    def describe(self) -> dict[str, object]:
        """Plain JSON."""
        volume = None if self.missing is None or self.extra is None else {"missing": round(self.missing, 4), "extra": round(self.extra, 4)}
        return {"kind": self.kind, "method": self.method, "count": len(self.hulls),
                "vertices": max(len(hull.vertices) for hull in self.hulls), "volume": volume,
                "error": {"mean": round(self.mean_error, 6), "largest": round(self.largest_error, 6)}}


def collision_shapes(mesh: Mesh, kind: str, max_hulls: int = 16, *, strict: bool = True, timeout_s: float = TIMEOUT_S) -> Collision:
    """Shapes around a mesh with welded vertices.

    kind : "box", "hull" or "hulls"
    max_hulls : of "hulls"
    strict : BackendUnavailable where neither CoACD nor V-HACD is installed; else one hull, with a notice. One hull, with a notice, too
        where both fail, each in a process of its own and in at most `timeout_s`
    """
    if kind == "box":
        return _measured(mesh, "box", [box(mesh.vertices)], "box")
    if kind == "hull":
        return _measured(mesh, "hull", [convex_hull(mesh.vertices, MAX_CORNERS)], "convex hull")
    light = decimate(mesh, ENOUGH_FACES)
    reasons: list[str] = []
    missing: list[str] = []
    for library in LIBRARIES:
        try:
            hulls = _decomposed(light, library, max_hulls, timeout_s)
            notices = tuple(f"convex parts by {library}: {reason}" for reason in reasons if not missing)
            return _measured(mesh, "hull", hulls, library, notices)
        except IsolatedFailure as failure:
            reasons.append(str(failure))
            missing += [failure.missing] if failure.missing else []
    if len(missing) == len(LIBRARIES) and strict:
        raise BackendUnavailable("convex parts", received=f"neither {' nor '.join(LIBRARIES)}", expected="one of them", remedy=INSTALL)
    notice = f"one convex hull in place of convex parts: {'; '.join(reasons)}" + (f" ({INSTALL})" if missing else "")
    return _measured(mesh, "hull", [convex_hull(mesh.vertices, MAX_CORNERS)], "convex hull", (notice,))


def _decomposed(mesh: Mesh, library: str, most: int, timeout_s: float) -> list[Mesh]:
    """Convex parts, each as the hull of what the library says are its corners. IsolatedFailure where there are none."""
    header = np.array([len(mesh.vertices), len(mesh.faces)], "<i8")
    data = header.tobytes() + mesh.vertices.astype("<f4").tobytes() + mesh.faces.astype("<u4").tobytes()
    closed = "closed" if is_watertight(mesh) else "open"
    answer = run_isolated(WORKER, (library, closed, most), ("numpy", library), data, timeout_s)
    try:
        parts = _parts(answer)
    except ValueError:
        parts = []
    parts = [part for part in parts if len(part) and np.isfinite(part).all()]
    if not 0 < len(parts) <= most:
        raise IsolatedFailure(f"{library} gave {len(parts)} parts")
    return [convex_hull(part, MAX_CORNERS) for part in parts]


def _parts(answer: bytes) -> list[np.ndarray]:
    """The corners (n, 3) of each part. ValueError for an answer that ends early."""
    count, offset = int(np.frombuffer(answer, "<i8", 1)[0]), 8
    parts = []
    for _ in range(count):
        corners = int(np.frombuffer(answer, "<i8", 1, offset)[0])
        parts.append(np.frombuffer(answer, "<f4", 3 * corners, offset + 8).reshape(-1, 3))
        offset += 8 + 12 * corners
    return parts


def _measured(mesh: Mesh, kind: str, hulls: list[Mesh], method: str, notices: tuple[str, ...] = ()) -> Collision:
    """The hulls with how well they fit."""
    size = float(np.ptp(mesh.bounds, axis=0).max()) or 1.0
    points, face = surface_points(mesh, SAMPLES // 5)
    normals = mesh.face_normals()[face]
    error = np.min([distances(points, hull, normals) for hull in hulls], axis=0) / size
    missing, extra = _volumes(mesh, hulls) if is_watertight(mesh) else (None, None)
    return Collision(kind, tuple(hulls), method, missing, extra, float(error.mean()), float(error.max()), notices)


def _volumes(mesh: Mesh, hulls: list[Mesh]) -> tuple[float, float]:
    """What of a closed mesh the hulls miss, and what they cover beside it, as shares of its volume."""
    corners = np.concatenate([mesh.vertices, *(hull.vertices for hull in hulls)])
    low, high = corners.min(axis=0), corners.max(axis=0)
    points = (low + (high - low) * np.random.default_rng(0).random((SAMPLES, 3))).astype(np.float32)
    inside, covered = is_inside(mesh, points), np.zeros(SAMPLES, bool)
    for hull in hulls:
        covered |= in_convex(hull, points)
    volume = max(int(inside.sum()), 1)
    return float((inside & ~covered).sum() / volume), float((covered & ~inside).sum() / volume)


def is_inside(mesh: Mesh, points: np.ndarray) -> np.ndarray:
    """(n,) bool: whether points (n, 3) lie inside of a closed mesh: most of three rays leave it at the next face."""
    scene, normals = Scene(mesh.vertices, mesh.faces), mesh.face_normals()
    votes = np.zeros(len(points), int)
    for direction in np.array([[0.36, 0.48, 0.8], [-0.8, 0.36, 0.48], [0.48, -0.8, -0.36]], np.float32):
        hits = scene.intersect(points, np.broadcast_to(direction, points.shape))
        votes += (hits.face >= 0) & (normals[hits.face] @ direction > 0)
    return votes >= 2


def in_convex(hull: Mesh, points: np.ndarray) -> np.ndarray:
    """(n,) bool: whether points (n, 3) lie inside of a convex mesh."""
    normals = area_vectors(hull.vertices.astype(np.float64), hull.faces)
    offsets = np.einsum("ij,ij->i", normals, hull.vertices[hull.faces[:, 0]])
    return np.asarray((points @ normals.T <= offsets).all(axis=1))
