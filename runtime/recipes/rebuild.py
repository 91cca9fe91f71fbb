"""From six views to a mesh, as InstantMesh does it (arXiv 2404.07191): the part that the recipes share.

Geometry is in world axes (z up, front +x).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ...engines.engine import Array, on_host
from ...engines.errors import EmptyShape
from ..backends.models import Models
from ..events import Surface, Views
from ..geometry.cameras import Cameras, camera_vectors
from ..geometry.denoise import denoised
from ..geometry.isosurface import extract
from ..geometry.mesh import Mesh
from ..geometry.render import split_grid
from ..geometry.topology import keep_components, split_non_manifold_edges
from ..images import pictures
from ..pack.manifest import Manifest
from ..request import Request
from .stages import Stage, run_stage
from .texture import textured, untextured

# Loose pieces with less than this share of the surface are taken for noise of the field.
SPECK = 0.02
# Cells of the grid from which on the field is not asked for a distance that the coarse shape bounds. A cube that the surface passes through
# has corners on both sides of it, at most its diagonal of 1.7 cells apart.
NEAR = 2.25
Bounds = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
STAGES = ("reconstruction", "surface", "texture")
COMPONENTS = ("reconstructor", "field_density", "field_geometry", "field_weights", "field_color")  # as they are used


@dataclass(frozen=True, eq=False)
class Field:
    """The reconstructed field: triplanes (1, 3, C, P, P) float32, where their engine has them, and the queries that read them.

    bounds : points (n, 3) -> the least and the largest distance (n,) that the coarse shape allows there; None for any
    near : where the bounds leave only distances of more than this, or of less than minus this, the nearest of them is taken
    """

    models: Models
    planes: Array
    bounds: Bounds | None = None
    near: float = np.inf

    def geometry(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """points (n, 3) -> sdf (n,), negative inside, and the raw deformation (n, 3)."""
        if self.bounds is None:
            return self._geometry(points)
        least, most = self.bounds(points)
        rows = np.flatnonzero((least < self.near) & (most > -self.near))
        sdf, deformation = np.where(least > 0, least, most), np.zeros_like(points)
        if len(rows):
            found = self._geometry(points[rows])
            sdf[rows], deformation[rows] = np.clip(found["sdf"], least[rows], most[rows]), found["deformation"]
        return {"sdf": sdf, "deformation": deformation}

    def _geometry(self, points: np.ndarray) -> dict[str, np.ndarray]:
        found = self.models.run("field_geometry", planes=self.planes, points=points[None])
        return {"sdf": found["sdf"][0, :, 0], "deformation": found["deformation"][0]}

    def density(self, points: np.ndarray) -> np.ndarray:
        """points (n, 3) -> density (n,), larger inside."""
        return self.models.run("field_density", planes=self.planes, points=points[None])["density"][0, :, 0]

    def weights(self, corners: np.ndarray) -> np.ndarray:
        """corners of cubes (k, 8, 3) -> FlexiCubes' raw weights (k, 21)."""
        return self.models.run("field_weights", planes=self.planes, corners=corners[None])["weights"][0]

    def color(self, points: np.ndarray) -> np.ndarray:
        """points (n, 3) -> colour (n, 3) float32 sRGB in [0, 1]."""
        return self.models.run("field_color", planes=self.planes, points=points[None])["color"][0]


# Draws the views of a surface, whose field is given, anew: gives them, and the field that is rebuilt from them.
Redraw = Callable[[Mesh, Field], Stage[tuple[np.ndarray, Field]]]


def rebuild(models: Models, views: np.ndarray, cameras: Cameras, request: Request, bounds: Bounds | None = None,
            redraw: Redraw | None = None) -> Stage[Mesh]:
    """The last stages of a recipe.

    views : (n, h, w, 3) float32 in [0, 1], as seen by `cameras`; bounds : as in `Field`; redraw : as of `finished`
    Returns the finished mesh. Errors: EmptyShape if the field has no surface.
    """
    pack = models.pack.manifest
    yield Views(views)
    field = yield from run_stage(models, "reconstruction", lambda: replace(
        reconstruct(models, views, cameras), bounds=bounds, near=NEAR * pack.grid.extent / pack.grid.resolution))
    surface = yield from run_stage(models, "surface", lambda: extract_surface(pack, field))
    yield Surface(surface, on_host(field.planes))
    return (yield from finished(models, surface, field, views, cameras, request, redraw))


def finished(models: Models, surface: Mesh, field: Field, views: np.ndarray, cameras: Cameras, request: Request,
             redraw: Redraw | None = None) -> Stage[Mesh]:
    """The stages behind the surface: a light mesh with a texture, or with vertex colours where the request wants none.

    redraw : draws the views of the surface anew, for its texture
    """
    pack = models.pack.manifest
    if not request.textured:
        return (yield from run_stage(models, "mesh", lambda: untextured(surface, field.color, request, pack)))
    if redraw is not None:
        views, field = yield from redraw(surface, field)
    return (yield from run_stage(models, "texture", textured(surface, field.color, views, cameras, request, pack)))


def decode_views(models: Models, latent: Array) -> np.ndarray:
    """(n, h, w, 3) float32 in [0, 1]: the views of the grid picture that a latent (1, 4, h', w') stands for."""
    views = models.pack.manifest.views
    image = models.run("vae_decoder", latent=latent)["image"][0].transpose(1, 2, 0)
    return split_grid(image, views.rows, views.columns)


def reconstruct(models: Models, views: np.ndarray, cameras: Cameras) -> Field:
    """The triplane field of an object seen in `views` (n, h, w, 3) by `cameras`."""
    images = resized(views, models.pack.manifest.reconstructor_view_size).transpose(0, 3, 1, 2)[None]
    found = models.run("reconstructor", keep=("planes",), views=np.ascontiguousarray(images, np.float32),
                       cameras=camera_vectors(cameras)[None])
    return Field(models, found["planes"])


def resized(views: np.ndarray, size: int) -> np.ndarray:
    """(n, size, size, 3) float32 in [0, 1]: bicubic, with antialiasing, as the reconstructor was trained on."""
    if views.shape[1:3] == (size, size):
        return views
    planes = [[pictures.resized(np.ascontiguousarray(view[..., c], np.float32), size, size) for c in range(3)] for view in views]
    return np.stack([np.stack(view, axis=-1) for view in planes]).clip(0, 1)


def extract_surface(pack: Manifest, field: Field) -> Mesh:
    """The reconstructed surface, before decimation and texture.

    By FlexiCubes, or by plain dual marching cubes where the field is a density.
    """
    grid = pack.grid
    if pack.find("field_density"):
        level = np.float32(grid.density_threshold)
        mesh = extract(lambda points: {"sdf": field.density(points) - level}, None, grid.resolution, grid.extent,
                       negative_inside=False, stride=grid.stride, decimals=None)
    else:
        mesh = extract(field.geometry, field.weights, grid.resolution, grid.extent, stride=grid.stride)
    return finished_surface(pack, mesh, "reconstruction")


def finished_surface(pack: Manifest, mesh: Mesh, stage: str) -> Mesh:
    """An extracted surface without specks and non-manifold edges, smoothed as the pack says. stage : what made it. Errors: EmptyShape."""
    mesh = split_non_manifold_edges(keep_components(mesh, SPECK))
    check_not_empty(mesh, stage)
    return mesh if pack.finish.denoise is None else denoised(mesh, width=pack.finish.denoise)


def check_not_empty(mesh: Mesh, stage: str) -> None:
    """Raise EmptyShape for a mesh without faces."""
    if len(mesh.faces) == 0:
        raise EmptyShape(f"the {stage} has no surface", remedy="try another seed or other words")
