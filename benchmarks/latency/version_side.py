"""One version of the project in the comparison `versions`, in a process of its own (`harness.worker`).

    python -m benchmarks.latency.version_side PACK THREADS

Which version it is says PYTHONPATH; so this uses only what all of them have.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from meshwright.runtime import Pipeline, read_picture
from meshwright.runtime.geometry.creases import shared_edges
from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.geometry.render import sample_texture
from meshwright.runtime.geometry.topology import weld
from meshwright.runtime.recipes import rebuild
from meshwright.runtime.texture.atlas import rasterize

from ..harness.worker import serve

SAMPLES, FINE = 20_000, 2048  # points on the surface; texels along a side, in which overlap is counted


class VersionSide:
    """Its public methods are the requests."""

    def __init__(self, pack: str, threads: str) -> None:
        self._pipeline = Pipeline.open(pack, threads=int(threads))
        self._color = None
        textured = rebuild.textured

        def noted(surface: Mesh, color, *others, **options):
            self._color = color
            return textured(surface, color, *others, **options)

        rebuild.textured = noted

    def run(self, *, quality: bool = False, **options) -> dict:
        """One prompt or picture to a GLB: seconds, also of all cores, and of each stage; with `quality` also `atlas_quality`."""
        began, used = time.perf_counter(), _processor_seconds()
        if "image" in options:
            options["image"] = read_picture(options["image"])
        made = self._pipeline.generate(**options)
        saving = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "made.glb"
            made.save(path)
            size = path.stat().st_size
        ended = time.perf_counter()
        stages = {name: made.timings[name] for name in made.timings if name not in ("loading", "total")} | {"write GLB": ended - saving}
        found = {"seconds": ended - began, "processor": _processor_seconds() - used, "stages": stages, "glb_bytes": size}
        return found | ({"quality": atlas_quality(made.mesh) | self._color_error(made.mesh)} if quality else {})

    def _color_error(self, mesh: Mesh) -> dict[str, float]:
        """Of the texture against the colour field at points of the surface: mean, in levels of 255."""
        rng, areas = np.random.default_rng(0), mesh.face_areas().astype(np.float64)
        corners = mesh.faces[rng.choice(len(areas), SAMPLES, p=areas / areas.sum())]
        weights = rng.dirichlet((1, 1, 1), SAMPLES).astype(np.float32)
        points, uvs = (np.einsum("nk,nkc->nc", weights, values[corners]) for values in (mesh.vertices, mesh.uvs))
        off = sample_texture(mesh.texture, uvs) - self._color(points.astype(np.float32))
        return {"color error": float(255 * np.abs(off).mean())}


def atlas_quality(mesh: Mesh) -> dict[str, float]:
    """How well the texture of a mesh is used.

    density : texels per unit of length, over the whole surface; worst : below which 5 % of the surface lie, in the direction in which a
        face has the fewest; seams : their length on the surface, in units; overlap : share of texels that two faces cover;
    filled : share of the texture that faces cover; vertices : of the mesh
    """
    size = len(mesh.texture)
    surface, flat = mesh.triangles().astype(np.float64), mesh.uvs[mesh.faces].astype(np.float64) * size
    areas = mesh.face_areas().astype(np.float64)
    whole = areas > 1e-9
    one, two = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    flat_areas = np.abs(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]) / 2
    stretch = _least_stretch(surface[whole], np.stack([one, two], axis=2)[whole])
    order = np.argsort(stretch)
    share = np.cumsum(areas[whole][order]) / areas[whole].sum()
    texel = rasterize(mesh.uvs[mesh.faces], FINE)[1]
    covered = len(np.unique(texel))
    return {"density": float(np.sqrt(flat_areas.sum() / areas.sum())), "worst": float(stretch[order][np.searchsorted(share, 0.05)]),
            "seams": _seams(mesh), "overlap": 1 - covered / len(texel), "filled": covered / FINE**2, "vertices": len(mesh.vertices)}


def _least_stretch(surface: np.ndarray, flat_edges: np.ndarray) -> np.ndarray:
    """(m,): the smaller singular value of the map from each triangle (m, 3, 3) to its texels. flat_edges : (m, 2, 2), columns"""
    one, two = surface[:, 1] - surface[:, 0], surface[:, 2] - surface[:, 0]
    length = np.linalg.norm(one, axis=1)
    along = np.einsum("ij,ij->i", one, two) / length
    height = np.sqrt(np.maximum(np.einsum("ij,ij->i", two, two) - along**2, 1e-18))
    own = np.zeros((len(surface), 2, 2))
    own[:, 0, 0], own[:, 0, 1], own[:, 1, 1] = length, along, height
    return np.linalg.svd(flat_edges @ np.linalg.inv(own), compute_uv=False)[:, 1]


def _seams(mesh: Mesh) -> float:
    """Length of the edges at which the texture coordinates of two faces differ."""
    left, right = shared_edges(weld(mesh.vertices)[mesh.faces])
    corners = mesh.faces.ravel()

    def following(corner: np.ndarray) -> np.ndarray:
        return corners[np.where(corner % 3 == 2, corner - 2, corner + 1)]

    start, end = corners[left], following(left)
    apart = np.abs(mesh.uvs[start] - mesh.uvs[following(right)]) + np.abs(mesh.uvs[end] - mesh.uvs[corners[right]])
    return float(np.linalg.norm(mesh.vertices[start] - mesh.vertices[end], axis=1)[apart.max(axis=1) > 1e-6].sum())


def _processor_seconds() -> float:
    return sum(os.times()[:4])


if __name__ == "__main__":
    serve(lambda: VersionSide(*sys.argv[1:]))
