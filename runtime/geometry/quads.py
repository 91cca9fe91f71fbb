"""A surface of quads, by Instant Meshes (Jakob et al. 2015), in a process that is bounded in time."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ...engines.errors import BackendUnavailable
from ...engines.machine.isolated import IsolatedFailure, run_isolated
from .mesh import Mesh

PACKAGE, INSTALL = "pyinstantmeshes", "pip install 'meshwright[quads]'"
WORKER = Path(__file__).with_name("quad_worker.py")
TIMEOUT_S = 120.0
BELOW = 0.95  # of the triangles that are asked for: the library keeps to their number nearly


def require_quads() -> None:
    """BackendUnavailable where the package is not installed."""
    if find_spec(PACKAGE) is None:
        raise BackendUnavailable("quads are made by another package", received=f"no {PACKAGE}", expected=PACKAGE, remedy=INSTALL)


def quad_mesh(mesh: Mesh, faces: int, timeout_s: float = TIMEOUT_S) -> Mesh:
    """About so many triangles, of which 2 k and 2 k + 1 are quad k: (a, b, c) and (a, c, d). Vertices and faces alone.

    mesh : vertices welded. Raises IsolatedFailure where there is no answer
    """
    header = np.array([len(mesh.vertices), len(mesh.faces)], "<i8")
    data = header.tobytes() + mesh.vertices.astype("<f4").tobytes() + mesh.faces.astype("<u4").tobytes()
    answer = run_isolated(WORKER, (int(BELOW * faces / 2),), ("numpy", PACKAGE), data, timeout_s)
    try:
        vertex_count, quad_count = np.frombuffer(answer, "<i8", 2)
        vertices = np.frombuffer(answer, "<f4", vertex_count * 3, 16).reshape(-1, 3).astype(np.float32)
        quads = np.frombuffer(answer, "<u4", quad_count * 4, 16 + vertices.size * 4).reshape(-1, 4).astype(np.int32)
    except ValueError as error:
        raise IsolatedFailure(f"{PACKAGE} gave no mesh") from error
    if not len(quads) or quads.max() >= len(vertices) or not np.isfinite(vertices).all():
        raise IsolatedFailure(f"{PACKAGE} gave no mesh")
    return Mesh(vertices, quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3))
