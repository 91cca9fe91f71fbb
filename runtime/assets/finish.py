"""`finish`: any mesh becomes an asset; it is repaired, its look is kept, everything else is as for a generated one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np

from ..files.reader import MeshFile, read_mesh
from ..geometry.mesh import Mesh
from ..geometry.repair import repaired
from .asset import Asset, OnStep, make_asset
from .lint import MOST_OVERLAP, POWERS
from .lint_checks import uv_overlap
from .options import AssetOptions

REPAIR = "repair"  # the step before those of `make_asset`


def finish(
    mesh: MeshFile | str | os.PathLike[str], options: AssetOptions, *, made_for: str = "", strict: bool = True,
    on_step: OnStep = lambda name, seconds: None, on_read: Callable[[float], None] = lambda done: None,
) -> Asset:
    """A mesh from anywhere as an engine takes it.

    Its colours are baked onto the new mesh. It is kept as it is, texture coordinates and all, where it has few enough triangles, needed
    no repair, and has a texture that is no larger than asked for, in a layout without overlap.

    mesh : a file, or what `read_mesh` gives
    options, made_for, strict, on_step : as of `Generation.asset`; on_read : as `progress` of `read_mesh`
    Errors: InputError for a file that cannot be read.
    """
    file = mesh if isinstance(mesh, MeshFile) else read_mesh(mesh, on_read)
    started = time.perf_counter()
    on_step(REPAIR, None)
    shape, said = repaired(file.mesh)
    on_step(REPAIR, time.perf_counter() - started)
    look = merged(file.mesh)
    finest = look if not said and _fits(look, options) else None
    return make_asset(shape, file.mesh, options, finest=finest, stands=file.placement, made_for=made_for, strict=strict,
                      notices=(*file.notices, *said), sources=file.sources, on_step=on_step)


def merged(mesh: Mesh) -> Mesh:
    """The mesh with vertices that agree in everything made one."""
    columns = [values.astype(np.float32) for values in (mesh.vertices, mesh.normals, mesh.uvs, mesh.colors) if values is not None]
    table = np.ascontiguousarray(np.concatenate(columns, axis=1))
    _, rows, index = np.unique(table.view([("", np.void, table.itemsize * table.shape[1])]).ravel(), return_index=True, return_inverse=True)
    return mesh.select_vertices(rows, index[mesh.faces])


def _fits(mesh: Mesh, options: AssetOptions) -> bool:
    """Whether a mesh needs neither fewer triangles nor another texture."""
    if options.faces is not None and len(mesh.faces) > options.faces or options.normal_map or options.occlusion or options.quads:
        return False
    if mesh.texture is None or mesh.uvs is None:
        return mesh.colors is None or options.texture is None
    sides = mesh.texture.shape[:2]
    return sides[0] == sides[1] and sides[0] in POWERS and (options.texture is None or sides[0] <= options.texture) \
        and uv_overlap(mesh, min(sides[0], 2048)) <= MOST_OVERLAP
