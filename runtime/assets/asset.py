"""`Asset`: a mesh with its levels of detail and collision shapes, scaled and placed, and the files that it is written as."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ...engines.files.file_set import write_files
from ...engines.machine.isolated import IsolatedFailure
from ..files.gltf.writer import Model, models_bytes
from ..files.overwriting import check_not_read
from ..files.reader import Placement
from ..files.writer import check_output, companions, encode, with_quads
from ..geometry.mesh import Mesh
from ..geometry.quads import quad_mesh, require_quads
from ..geometry.render import preview
from .collision import Collision, collision_shapes
from .layout import Content, contents, hull_names
from .levels import Level, level_of, make_level, texture_side, with_maps
from .limits import check_encoding
from .look import Source
from .options import AssetOptions
from .placing import placed

OnStep = Callable[[str, float | None], None]
MAX_ERROR = 0.1  # of the longest side: a level that is further off anywhere has lost a part
MIN_LEVEL = 32  # triangles; what is coarser than that is no shape any more
TEXTURE = 1024  # where neither the options nor a texture says another


@dataclass(frozen=True, eq=False)
class Asset:
    """What an engine takes.

    levels : of detail, the finest first, in the axes and units of the mesh that it was made from
    collision : the shapes around the full surface, or None
    placement : from there to the file, in metres
    made_for : the preset that the options began with, "" for none
    timings : seconds of each step
    notices : what the user should know
    sources : files that were read for it, which `save` does not write over
    """

    levels: tuple[Level, ...] = field(repr=False)
    collision: Collision | None = field(repr=False)
    placement: Placement
    options: AssetOptions
    made_for: str = ""
    extras: Mapping[str, object] = field(default_factory=dict, repr=False)
    timings: Mapping[str, float] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    sources: tuple[Path, ...] = ()

    @property
    def size(self) -> tuple[float, float, float]:
        """Width, height and depth in metres."""
        depth, width, height = np.ptp(self.levels[0].mesh.bounds.astype(np.float64), axis=0) * self.placement.scale
        return float(width), float(height), float(depth)

    def save(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write all its files, as `layout` names them after `path`; the one with the finest level comes first in what is returned.

        All appear, or none. OutputError if they cannot be written, also where one would replace a file that was read.
        """
        files = self.encode(check_output(path))
        check_not_read(files, self.sources)
        write_files(files)
        return list(files)

    def encode(self, path: Path) -> dict[Path, bytes]:
        """The contents of the files that `save` writes."""
        files: dict[Path, bytes] = {}
        for own, content in contents(path, self.options).items():
            if own.suffix.lower() == ".glb":
                files[own] = self._glb(path.stem, content)
            else:
                files |= encode(self.placement.restored(self.levels[0].mesh), own, None, 1.0)
                if self.options.quads and own.suffix.lower() == ".obj":
                    files[own] = with_quads(files[own])
        return files

    def preview(self, size: int = 512) -> np.ndarray:
        """(size, 2 * size, 3) uint8: the finest level from its front and its back."""
        return np.rint(preview(self.levels[0].mesh, size) * 255).astype(np.uint8)

    def describe(self) -> dict[str, object]:
        """Plain JSON: what `asset.extras` of its files says of it."""
        return {"for": self.made_for, "size": [round(metres, 6) for metres in self.size],
                "levels": [level.describe() for level in self.levels],
                "collision": None if self.collision is None else self.collision.describe(),
                "seconds": {name: round(seconds, 4) for name, seconds in self.timings.items()}}

    def _glb(self, name: str, content: Content) -> bytes:
        models = []
        for number, node in content.levels:
            level = self.levels[number]
            models.append(Model(node, self.placement.restored(level.mesh), level.normal_map, level.tangents, level.occlusion))
        if content.hulls and self.collision is not None:
            names = hull_names(name, self.collision.kind, len(self.collision.hulls), self.options.naming)
            models += [Model(node, self.placement.restored(hull), plain=True)
                       for node, hull in zip(names, self.collision.hulls, strict=True)]
        own = {"level": content.levels[0][0]} if len(content.levels) == 1 and len(self.levels) > 1 else {}
        return models_bytes(models, {**self.extras, "asset": {**self.describe(), **own}}, group=content.group,
                            encoding=self.options.encoding)


def make_asset(
    shape: Mesh, look: Mesh, options: AssetOptions, *, finest: Mesh | None = None, stands: Placement | None = None,
    real_size: tuple[str, float] | None = None, textured: bool = True, made_for: str = "", strict: bool = True,
    extras: Mapping[str, object] | None = None, notices: tuple[str, ...] = (), sources: tuple[Path, ...] = (),
    on_step: OnStep = lambda name, seconds: None,
) -> Asset:
    """An asset of a full surface.

    shape : vertices and faces, welded, world axes
    look : a mesh on that surface whose texture or vertex colours the levels get; without either they have no texture
    finest : the finest level, if it is there already; it is kept as it is
    stands : from these axes and units to metres
    real_size : what the thing measures, for options that ask for it
    textured : False gives the levels vertex colours in place of textures
    strict : as of `collision_shapes`
    on_step : called with the name of each of `steps` and None before it, and with its seconds after it; what it raises ends the work
    """
    check_encoding(options, made_for)
    if options.quads and strict:
        require_quads()
    timings: dict[str, float] = {}

    @contextmanager
    def step(name: str) -> Iterator[None]:
        on_step(name, None)
        started = time.perf_counter()
        yield
        timings[name] = time.perf_counter() - started
        on_step(name, timings[name])

    source = Source(look) if look.texture is not None or look.colors is not None else None
    side = options.texture or (len(finest.texture) if finest is not None and finest.texture is not None else TEXTURE)
    with step("level 0"):
        most = options.faces or len((finest or shape).faces)
        quads, said = _quads(shape, most) if options.quads else (None, ())
        notices = (*notices, *said)
        kept = finest is not None and not options.quads
        first = level_of(finest, shape) if finest is not None and kept else make_level(shape, source, most, side, textured, quads)
        first = with_maps(first, shape, side, normals=options.normal_map, occlusion=options.occlusion)
    levels = [first]
    for number, share in enumerate(options.lods, 1):
        budget = int(share * len(first.mesh.faces))
        if budget < MIN_LEVEL:
            notices = (*notices, f"levels of fewer than {MIN_LEVEL} triangles are left out")
            options = replace(options, lods=options.lods[:number - 1])
            break
        with step(f"level {number}"):
            small = texture_side(side, share)
            level = make_level(shape, source, budget, small, textured)
            level = with_maps(level, shape, small, normals=options.normal_map, occlusion=options.occlusion)
        if level.largest_error > MAX_ERROR or len(level.mesh.faces) >= len(levels[-1].mesh.faces):
            notices = (*notices, f"the shape cannot do with {budget:,} triangles: that level and the coarser ones are left out")
            options = replace(options, lods=options.lods[:number - 1])
            break
        levels.append(level)
    collision = None
    if options.collision != "none":
        with step("collision"):
            collision = collision_shapes(shape, options.collision, options.max_hulls, strict=strict)
    size = options.size or (real_size if options.real_size else None)
    return Asset(tuple(levels), collision, placed(first.mesh.bounds, stands or Placement(), size, options.origin), options, made_for,
                 extras or {}, timings, (*notices, *(() if collision is None else collision.notices)), sources)


def _quads(shape: Mesh, faces: int) -> tuple[Mesh | None, tuple[str, ...]]:
    """The surface as quads, or a notice of why there are none."""
    try:
        return quad_mesh(shape, faces), ()
    except IsolatedFailure as failure:
        return None, (f"triangles in place of quads: {failure}",)


def steps(options: AssetOptions) -> tuple[str, ...]:
    """The names of the steps of `make_asset`, in order."""
    levels = (f"level {number}" for number in range(len(options.lods) + 1))
    return (*levels, *(() if options.collision == "none" else ("collision",)))


def asset_files(path: Path, options: AssetOptions) -> list[Path]:
    """The files that `Asset.save` writes for these options. InputError if the format cannot hold them."""
    return [each for own in contents(path, options) for each in (own, *companions(own))]
