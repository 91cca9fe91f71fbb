"""What a run made: the mesh, the early results, the timings, and where all of it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..engines.errors import OutputError
from ..engines.files.file_set import write_files
from .assets.asset import Asset, OnStep, make_asset
from .assets.options import AssetOptions
from .files.gltf.encoding import png_bytes
from .files.overwriting import MARK, check_not_read, marked
from .files.reader import Placement
from .files.writer import check_output, companions, encode
from .geometry.mesh import Mesh
from .geometry.render import preview
from .geometry.shading import to_uint8
from .saved_run import SavedRun, check_run_folder


@dataclass(frozen=True, eq=False)
class Cutout:
    """What was taken for the object of a picture.

    azimuth : degrees from the first picture
    matte : (h, w) uint8, 255 where the object is
    crop : (k, k, 4) uint8 sRGB with alpha, the square that the networks look at
    source : where the matte came from: "alpha", "network", "file" or "none"
    seconds : that the matte took
    """

    azimuth: float
    matte: np.ndarray = field(repr=False)
    crop: np.ndarray = field(repr=False)
    source: str
    seconds: float


@dataclass(frozen=True, eq=False)
class Stages:
    """The early results of a run, in world axes (z up, front +x).

    cutouts : what was taken for the object of each picture, the first one first; none without a picture
    coarse_mesh : with vertex colours, or the mesh to be redrawn; None in a recipe without either
    coarse_views, views : (n, size, size, 3) float32 sRGB in [0, 1]; no coarse ones without a coarse shape. Where shape and look were
        drawn apart, the views of the look
    surface : before decimation and texture
    """

    coarse_mesh: Mesh | None
    coarse_views: np.ndarray | None
    views: np.ndarray
    surface: Mesh
    cutouts: tuple[Cutout, ...] = ()


@dataclass(frozen=True, eq=False)
class Generation:
    """One finished run.

    mesh : textured, or with vertex colours where no texture was asked for. In world axes and units; `save` writes metres, or where the
        input stood (`placement`), and a GLB in glTF's axes
    stages : early results
    timings : seconds; each stage by name, then "loading" (their part for opening model files) and "total"
    notices : what the user should know
    provenance : prompt, seed, options, pack, hash, precision, licences; goes into the file
    metres_per_unit : as the pack says
    peak_memory : bytes; the most that the process had in each stage. Empty unless the pipeline was opened with `measure_memory`
    device_memory : bytes; the most of the GPU's memory that its engines held in each stage. Empty where nothing ran on one
    placement : where the mesh file stood that this was made from, and in which units; None without one
    sources : the files that were read for it, which `save` does not write over
    run : all up to the surface, which `save_run` keeps; None on the route texture
    real_size : what the pack knows of the size of the thing: "height", "width" or "depth", and metres; None where it knows nothing
    """

    mesh: Mesh = field(repr=False)
    stages: Stages = field(repr=False)
    timings: Mapping[str, float]
    notices: tuple[str, ...]
    provenance: Mapping[str, object]
    metres_per_unit: float = 1.0
    peak_memory: Mapping[str, int] = field(default_factory=dict)
    device_memory: Mapping[str, int] = field(default_factory=dict)
    placement: Placement | None = None
    sources: tuple[Path, ...] = ()
    real_size: tuple[str, float] | None = None
    run: SavedRun | None = field(default=None, repr=False)

    @property
    def extras(self) -> dict[str, object]:
        """`asset.extras` of the GLB: the provenance and the timings, which alone differ from run to run."""
        return {**self.provenance, "timings": {name: round(s, 4) for name, s in self.timings.items()}}

    def preview(self, size: int = 512) -> np.ndarray:
        """(size, 2 * size, 3) uint8: the mesh from its front and its back."""
        return to_uint8(preview(self.mesh, size))

    def save(self, path: str | Path) -> list[Path]:
        """Write glb, obj, ply or stl, by ending; returns the files, `path` first.

        OutputError leaves none behind; also for a path at which a file stands that the run has read.
        """
        path = check_output(path)
        check_not_read((path, *companions(path)), self.sources)
        files = self.encode(path)
        write_files(files)
        return list(files)

    def save_run(self, folder: str | Path) -> list[Path]:
        """Keep all up to the surface in a folder, which may be new; `Request.run` continues from there. Returns its files.

        A run that is there is replaced. OutputError leaves all as it was; for a folder with other files of these names, and on the route
        texture.
        """
        folder = Path(folder)
        files = self.encode_run(folder)
        check_run_folder(folder)
        check_not_read(files, self.sources)
        write_files(files)
        return list(files)

    def encode_run(self, folder: Path) -> dict[Path, bytes]:
        """The contents of the files that `save_run` writes."""
        if self.run is None:
            raise OutputError("there is no run to be kept", received="a mesh that got a texture", expected="a shape that was generated")
        return self.run.encode(folder)

    def asset(self, options: AssetOptions, *, made_for: str = "", strict: bool = True,
              on_step: OnStep = lambda name, seconds: None) -> Asset:
        """The mesh as an engine takes it: levels of detail from the dense surface, collision shapes, scale and pivot.

        options : a value of `PRESETS`, or any; their `faces` and `texture` are those of the request, and change nothing here
        made_for : the name of the preset, for the files
        strict : BackendUnavailable where a convex decomposition is asked for and no library is installed; else one hull, with a notice
        on_step : as of `make_asset`
        """
        stands = self.placement or Placement(scale=self.metres_per_unit)
        return make_asset(self.stages.surface, self.mesh, options, finest=self.mesh, stands=stands, real_size=self.real_size,
                          textured=self.mesh.texture is not None, made_for=made_for, strict=strict, extras=self.extras,
                          sources=self.sources, on_step=on_step)

    def encode(self, path: Path) -> dict[Path, bytes]:
        """The contents of the files that `save` writes."""
        return self._encode(self.mesh, path)

    def encode_stages(self, folder: Path) -> dict[Path, bytes]:
        """The early results as files in `folder`: mattes and crops, the meshes, and every view."""
        files: dict[Path, bytes] = {}
        for number, cutout in enumerate(self.stages.cutouts):
            at = f"_{cutout.azimuth:g}" if number else ""
            files |= {folder / f"matte{at}.png": png_bytes(cutout.matte), folder / f"crop{at}.png": png_bytes(cutout.crop)}
        for name, mesh in (("coarse.glb", self.stages.coarse_mesh), ("surface.ply", self.stages.surface)):
            if mesh is not None:
                files |= self._encode(mesh, folder / name, kept_as=MARK)
        for name, images in (("coarse_view", self.stages.coarse_views), ("view", self.stages.views)):
            files |= {folder / f"{name}_{i}.png": png_bytes(to_uint8(image))
                      for i, image in enumerate(() if images is None else images)}
        return marked(files)

    def _encode(self, mesh: Mesh, path: Path, **more: str) -> dict[Path, bytes]:
        """In metres; or, with a mesh file's placement, in its units, whatever those are. more : further extras"""
        extras = {**self.extras, **more}
        if self.placement is None:
            return encode(mesh, path, extras, self.metres_per_unit)
        return encode(self.placement.restored(mesh), path, extras, 1.0)

