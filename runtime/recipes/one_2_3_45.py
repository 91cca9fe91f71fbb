"""Picture to mesh as One-2-3-45++ does it (arXiv 2311.07885): six views are lifted by two 3D diffusions, a coarse and a fine one.

`one_2_3_45` reads top to bottom like the method. Its refinement of the texture fits a radiance field to the views; here the texture is
the weighted mean of the views that see a texel, which is the solution where every texel has a colour of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...engines.engine import on_host
from ...engines.errors import EmptyShape, InputError
from ..backends.models import Models
from ..diffusion.noise import normal
from ..events import CoarseMesh, Surface, Views
from ..geometry import voxels
from ..geometry.cameras import Cameras, orbit, sampling_places
from ..geometry.denoise import denoised
from ..geometry.isosurface import voxel_values
from ..geometry.mesh import Mesh
from ..geometry.topology import keep_components, split_non_manifold_edges
from ..pack.manifest import Manifest, VoxelGrid, required
from ..request import Request
from . import instantmesh, rebuild
from .settings import loop_settings
from .stages import Stage, denoise, run_stage
from .texture import textured, untextured

STAGES = ("picture", "views", "occupancy", "voxels", "surface", "texture")
COMPONENTS = (*instantmesh.DRAWING, "condition_volume", "occupancy_step", "condition_voxels", "sparse_step")  # as they are used


@dataclass(frozen=True, eq=False)
class VoxelField:
    """What the fine diffusion gives, on its whole grid.

    sdf : (r, r, r) float32, negative inside; far from the surface the distance at which it is cut off
    color : (r, r, r, 3) float32 sRGB in [0, 1], and known : (r, r, r) float32, 1 where there is a colour and 0 elsewhere
    """

    sdf: np.ndarray
    color: np.ndarray
    known: np.ndarray
    extent: float

    def colors(self, points: np.ndarray) -> np.ndarray:
        """points (n, 3) -> colour (n, 3) float32, from the voxels around that have one."""
        spacing = self.extent / len(self.sdf)
        share = voxel_values.interpolated(self.known, points, spacing)[:, None]
        return voxel_values.interpolated(self.color, points, spacing) / np.maximum(share, 1e-6)


def one_2_3_45(models: Models, request: Request) -> Stage[Mesh]:
    """Yields the events of one run; returns the textured mesh in world axes: the picture is seen from the front.

    Errors: InputError for a picture without an object, or for a shape with more voxels than the pack has room for; EmptyShape where
    nothing is occupied, or nothing has an inside.
    """
    pack = models.pack.manifest
    cameras = orbit(pack.views.azimuths, pack.views.elevations, pack.views.radius, pack.views.fov)

    condition, known, _ = yield from run_stage(models, "picture", instantmesh.encode_inputs(models, request))
    views = yield from run_stage(models, "views", instantmesh.generate_views(models, condition, known, request))
    yield Views(views)
    occupied = yield from run_stage(models, "occupancy", draw_occupancy(models, views, cameras, request))
    yield CoarseMesh(coarse_mesh(occupied, required(pack.voxels)))
    field = yield from run_stage(models, "voxels", draw_voxels(models, occupied, views, cameras, request))
    surface = yield from run_stage(models, "surface", lambda: extract_surface(pack, field))
    yield Surface(surface)
    if not request.textured:
        return (yield from run_stage(models, "mesh", lambda: untextured(surface, field.colors, request, pack)))
    return (yield from run_stage(models, "texture", textured(surface, field.colors, views, cameras, request, pack, "voxels")))


def draw_occupancy(models: Models, views: np.ndarray, cameras: Cameras, request: Request) -> Stage[np.ndarray]:
    """(r, r, r) bool: the voxels near the surface, drawn by a dense 3D diffusion under a pyramid of projected features."""
    pack = models.pack.manifest
    grid, loop = required(pack.voxels), required(pack.occupancy)
    centres = voxels.centres(voxels.all_voxels(grid.resolution), grid.resolution, grid.extent)
    condition = models.run("condition_volume", keep=_outputs(models, "condition_volume"), views=as_input(views),
                           where=sampling_places(cameras, centres)[None])
    latent = yield from denoise(models, "occupancy_step", loop.latent_shape, loop_settings(loop), stage="occupancy", stream="occupancy",
                                seed=request.shape_seed, constants=condition)
    occupied = on_host(latent)[0, 0] > 0
    if not occupied.any():
        raise EmptyShape("the coarse grid is empty", remedy="try another seed or another picture")
    return occupied


def draw_voxels(models: Models, occupied: np.ndarray, views: np.ndarray, cameras: Cameras, request: Request) -> Stage[VoxelField]:
    """Distance and colour in the children of the occupied voxels, drawn by a sparse 3D diffusion."""
    pack = models.pack.manifest
    grid, loop = required(pack.voxels), required(pack.sparse)
    active = voxels.subdivided(occupied, grid.levels, grid.buckets)
    if active is None:
        raise InputError("the shape has more voxels than the pack has room for", received=str(int(occupied.sum())),
                         expected=f"fewer than {grid.buckets[-1]}", remedy="try another seed or another picture")
    points = active.padded(active.centres(grid.extent))
    condition = models.run("condition_voxels", keep=_outputs(models, "condition_voxels"), views=as_input(views),
                           where=sampling_places(cameras, points)[None], points=points[None] * np.float32(2 / grid.extent))
    settings = loop_settings(loop)
    # Voxel by voxel, so that what one gets does not depend on how many rows there are.
    noise = normal(request.shape_seed, "voxels/step", (active.rows[0], settings.steps, 4)).transpose(1, 0, 2)[:, None]
    latent = yield from denoise(models, "sparse_step", (1, active.rows[0], 4), settings, stage="voxels", stream="voxels",
                                seed=request.shape_seed, constants={**condition, **active.tables()}, step_noise=noise)
    return voxel_field(active, on_host(latent)[0, :active.count], grid)


def voxel_field(active: voxels.ActiveVoxels, values: np.ndarray, grid: VoxelGrid) -> VoxelField:
    """values : (count, 4) float32 of the finest voxels, distance over the grid's truncation and sRGB, in [-1, 1]"""
    index = tuple(active.levels[0].T)
    color = np.zeros((*(active.resolution,) * 3, 3), np.float32)
    color[index] = (values[:, 1:] / 2 + 0.5).clip(0, 1)
    known = np.zeros(color.shape[:3], np.float32)
    known[index] = 1
    sdf = voxels.filled(active, values[:, 0].clip(-1, 1) * np.float32(grid.truncation), grid.truncation)
    return VoxelField(sdf, color, known, grid.extent)


def extract_surface(pack: Manifest, field: VoxelField) -> Mesh:
    """The surface at distance 0, before decimation and texture. Errors: EmptyShape."""
    # Four cells of the mesh are less than two voxels, which is where the distance is cut off, or a little beyond.
    mesh = voxel_values.surface(field.sdf, field.extent, required(pack.voxels).truncation, stride=4)
    mesh = split_non_manifold_edges(keep_components(mesh, rebuild.SPECK))
    rebuild.check_not_empty(mesh, "fine grid")
    return mesh if pack.finish.denoise is None else denoised(mesh, width=pack.finish.denoise)


def coarse_mesh(occupied: np.ndarray, grid: VoxelGrid) -> Mesh:
    """The occupied voxels (r, r, r) bool and what they enclose, as a rough mesh."""
    solid = occupied | voxels.enclosed(occupied)
    return voxel_values.surface(np.where(solid, np.float32(-1), np.float32(1)), grid.extent, 1.0, detail=1)


def as_input(views: np.ndarray) -> np.ndarray:
    """(n, h, w, 3) -> (1, n, 3, h, w) float32"""
    return np.ascontiguousarray(views.transpose(0, 3, 1, 2)[None], np.float32)


def _outputs(models: Models, kind: str) -> list[str]:
    return [tensor.name for tensor in models.pack.component(kind).spec.outputs]
