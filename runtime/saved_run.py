"""What a run made up to its dense surface, kept in a folder, from which the rest is made again with other options.

The folder has two files: `run.json`, and `stages.npz` with the arrays, whose hash `run.json` names.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..engines.errors import InputError, MeshwrightError, OutputError
from ..engines.files.array_archive import ArrayArchive, archive_bytes
from ..engines.files.file_set import recover
from ..engines.files.regular_file import read_regular
from .files.reader import Placement, check_mesh
from .geometry.mesh import Mesh
from .images.pictures import Picture

VERSION = 1
RUN_FILES = RUN, STAGES = "run.json", "stages.npz"
MAX_RUN_BYTES, MAX_STAGES_BYTES = 4 << 20, 1 << 30
# Of a request: what a continued run takes from it, where it is not given anew.
KEPT = ("prompt", "seed", "geometry_seed", "texture_seed", "steps", "guidance", "sampler", "guidance_interval", "quality", "deep_cache",
        "faces", "texture", "texture_from", "matte")
ROUTES = ("text", "coarse", "views", "refine")
MESH_ARRAYS = ("vertices", "faces", "normals", "uvs", "texture", "colors")
AGAIN = "make it again with --save-run"


@dataclass(frozen=True, eq=False)
class SavedRun:
    """A run up to its dense surface, in world axes (z up, front +x).

    pack : name, version and SHA-256 of the pack that made it, with which alone it can be continued
    route : the way it took: "text", "coarse", "views" or "refine"
    request : those of `KEPT` that the request said
    provenance : of the whole run, as in the GLB
    surface : before decimation and texture
    planes : (1, 3, C, P, P) float, the reconstructed triplanes, which know the colours
    views : (n, h, w, 3) float32 in [0, 1], from which the surface was made
    coarse_mesh, coarse_views : what these were drawn from; None where there was no such thing
    crops : of the request's pictures, each with its azimuth in degrees
    placement : as in `Generation`
    sha256 : of `run.json`; folder : that it was read from; empty and None for a run that is no file
    """

    pack: Mapping[str, str]
    route: str
    request: Mapping[str, object]
    provenance: Mapping[str, object] = field(repr=False)
    surface: Mesh = field(repr=False)
    planes: np.ndarray = field(repr=False)
    views: np.ndarray = field(repr=False)
    coarse_mesh: Mesh | None = field(default=None, repr=False)
    coarse_views: np.ndarray | None = field(default=None, repr=False)
    crops: tuple[tuple[float, Picture], ...] = field(default=(), repr=False)
    placement: Placement | None = None
    sha256: str = ""
    folder: Path | None = None

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files that it was read from."""
        return () if self.folder is None else (self.folder / RUN, self.folder / STAGES)

    def require_pack(self, name: str, version: str, sha256: str) -> None:
        """InputError for another pack than the one that made the run."""
        if self.pack["sha256"] != sha256:
            raise InputError(f"{self._name} was made by another pack",
                             received=f"{self.pack['name']} {self.pack['version']} ({self.pack['sha256'][:12]})",
                             expected=f"{name} {version} ({sha256[:12]})",
                             remedy=f"name its pack with --pack, or {AGAIN}")

    @property
    def _name(self) -> str:
        return "the run" if self.folder is None else f"the run {self.folder}"

    def encode(self, folder: Path) -> dict[Path, bytes]:
        """The contents of the files of a folder."""
        stages = archive_bytes(self._arrays())
        placement = None if self.placement is None else {"translation": list(self.placement.translation), "scale": self.placement.scale}
        said = {"meshwright_run": VERSION, "pack": dict(self.pack), "route": self.route, "request": dict(self.request),
                "azimuths": [azimuth for azimuth, _ in self.crops], "placement": placement,
                "stages": hashlib.sha256(stages).hexdigest(), "provenance": dict(self.provenance)}
        return {folder / RUN: (json.dumps(said, indent=1) + "\n").encode(), folder / STAGES: stages}

    def _arrays(self) -> dict[str, np.ndarray]:
        arrays = {"planes": self.planes, "views": self.views}
        if self.coarse_views is not None:
            arrays["coarse_views"] = self.coarse_views
        for prefix, mesh in (("surface", self.surface), ("coarse", self.coarse_mesh)):
            arrays |= {f"{prefix}/{name}": values for name in MESH_ARRAYS if (values := getattr(mesh, name, None)) is not None}
        return arrays | {f"crop/{number}": picture.pixels for number, (_, picture) in enumerate(self.crops)}


def read_run(folder: str | os.PathLike[str]) -> SavedRun:
    """A run from its folder. InputError for a folder that is none, is damaged, or is of a version that is not read."""
    folder = Path(folder)
    if folder.is_dir():
        recover(folder)  # what a killed process left of it
    data = read_regular(folder / RUN, f"the run {folder}", InputError, max_bytes=MAX_RUN_BYTES)
    try:
        said = json.loads(data)
        version = said["meshwright_run"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{folder} is not a saved run", received=f"{RUN}: {error}", expected="a folder written by --save-run") from error
    if version != VERSION:
        raise InputError(f"the run {folder} is of a version that is not supported", received=str(version), expected=str(VERSION),
                         remedy=AGAIN)
    stages = read_regular(folder / STAGES, f"the run {folder}", InputError, max_bytes=MAX_STAGES_BYTES)
    try:
        if hashlib.sha256(stages).hexdigest() != said["stages"]:
            raise ValueError(f"the hash of {STAGES} differs")
        del stages
        archive = ArrayArchive(folder / STAGES, STAGES, InputError)
        return _run(said, archive.read(archive.names), hashlib.sha256(data).hexdigest(), folder)
    # What broken files lead to is not one class.
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, MeshwrightError) as error:
        raise InputError(f"the run {folder} is damaged", received=str(error) or type(error).__name__, remedy=AGAIN) from error


def check_run_folder(folder: Path) -> None:
    """OutputError where a run cannot be written: something else has the folder's name, or those of its files."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"{folder} cannot be written", expected="a folder, or a new name in a folder")
    there = [name for name in (RUN, STAGES) if os.path.lexists(folder / name)]
    if there and not _is_run(folder):
        raise OutputError(f"{folder / there[0]} is in the way of a saved run", expected="a saved run, or nothing",
                          remedy="choose another folder")


def _is_run(folder: Path) -> bool:
    """Whether a folder is that of a run, whole or not: its `run.json` says so."""
    try:
        return b'"meshwright_run"' in read_regular(folder / RUN, RUN, InputError, max_bytes=MAX_RUN_BYTES)[:64]
    except InputError:
        return False


def _run(said: Mapping[str, Any], arrays: dict[str, np.ndarray], digest: str, folder: Path) -> SavedRun:
    """A run, once everything in it is what it may be. ValueError, LookupError, TypeError, InputError."""
    pack = {name: _text(said["pack"][name]) for name in ("name", "version", "sha256")}
    if said["route"] not in ROUTES or not set(said["request"]) <= set(KEPT) or not isinstance(said["provenance"], dict):
        raise ValueError(f"{RUN} holds what it cannot")
    surface, coarse = _mesh(arrays, "surface"), _mesh(arrays, "coarse") if "coarse/vertices" in arrays else None
    views = _images(arrays["views"])
    coarse_views = _images(arrays["coarse_views"]) if "coarse_views" in arrays else None
    planes = arrays["planes"]
    if planes.ndim != 5 or planes.dtype.kind != "f" or not np.isfinite(planes).all():
        raise ValueError(f"planes are {planes.dtype} {planes.shape}")
    crops = tuple((float(azimuth), Picture.of(arrays[f"crop/{number}"])) for number, azimuth in enumerate(said["azimuths"]))
    place = said["placement"]
    placement = None
    if place is not None:
        x, y, z = map(float, place["translation"])
        placement = Placement((x, y, z), float(place["scale"]))
        if not np.isfinite([x, y, z, placement.scale]).all() or placement.scale <= 0:
            raise ValueError("the placement is out of range")
    return SavedRun(pack, said["route"], said["request"], said["provenance"], surface, planes, views, coarse, coarse_views, crops,
                    placement, digest, folder)


def _mesh(arrays: Mapping[str, np.ndarray], prefix: str) -> Mesh:
    found = {name: arrays[f"{prefix}/{name}"] for name in MESH_ARRAYS if f"{prefix}/{name}" in arrays}
    mesh = Mesh(**found)
    check_mesh(mesh)
    if mesh.texture is not None:
        Picture.of(mesh.texture)
    return mesh


def _images(values: np.ndarray) -> np.ndarray:
    if values.ndim != 4 or values.shape[3] != 3 or values.dtype != np.float32 or not np.isfinite(values).all():
        raise ValueError(f"views are {values.dtype} {values.shape}")
    return values


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("the pack is not named")
    return value
