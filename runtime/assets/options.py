"""What a finished asset is to be: one frozen dataclass of options. `presets` has one for each engine."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...engines.errors import InputError
from ..files.gltf.encoding import GEOMETRIES, Encoding
from ..files.gltf.encoding import TEXTURES as TEXTURES_AS
from ..pack.manifest import MAX_FACES, TEXTURES

COLLISIONS = ("none", "box", "hull", "hulls")
ORIGINS = ("keep", "bottom", "center")
NAMINGS = ("plain", "unreal", "unity", "godot")
MAX_LEVELS, MAX_HULLS, MAX_METRES = 8, 256, 10_000.0


@dataclass(frozen=True)
class AssetOptions:
    """Checked when it is made (InputError names the option, what came, what may come).

    faces : 4 to 1,000,000, most triangles of the finest level; None for the pack's own, or as many as a given mesh has
    texture : a power of two from 64 to 8192, pixels along the side of the finest level's textures; None for the pack's own, or 1024
    lods : the further levels of detail, as shares of the triangles of the finest one, falling, each between 0 and 1
    collision : "none"; "box", one along the axes; "hull", one convex hull; "hulls", a convex decomposition (CoACD or V-HACD, an extra)
    max_hulls : 1 to 256, of a decomposition
    height, width, depth : metres, at most one of them: the mesh is scaled, all of it alike, to this size. None keeps the size
    real_size : where none of these is given, take the size that the pack knows for the thing that the prompt names
    origin : where the pivot lies: "keep"; "bottom", in the middle of the underside of its box; "center", in the middle of its box
    naming : whose names for levels and collision shapes the files follow (`layout`)
    normal_map : bake the dense surface into a normal map
    occlusion : bake ambient occlusion
    quads : the finest level has about as many triangles as `faces` says, which are the halves of quads (Instant Meshes, an extra): OBJ has
        the quads themselves
    texture_format : of the colours, "png" or "jpeg", which everyone reads; "webp"; "ktx2" (Basis Universal, an extra)
    compress : the geometry, by "meshopt" or "draco" (extras), where not "none"
    """

    faces: int | None = None
    texture: int | None = None
    lods: tuple[float, ...] = ()
    collision: str = "none"
    max_hulls: int = 16
    height: float | None = None
    width: float | None = None
    depth: float | None = None
    real_size: bool = False
    origin: str = "keep"
    naming: str = "plain"
    normal_map: bool = False
    occlusion: bool = False
    quads: bool = False
    texture_format: str = "png"
    compress: str = "none"

    def __post_init__(self) -> None:
        _in_range("faces", self.faces, 4, MAX_FACES)
        _in_range("max_hulls", self.max_hulls, 1, MAX_HULLS)
        if self.texture is not None and self.texture not in TEXTURES:
            raise InputError("texture is out of range", received=repr(self.texture), expected="a power of two from 64 to 8192")
        for name, choices in (("collision", COLLISIONS), ("origin", ORIGINS), ("naming", NAMINGS), ("texture_format", TEXTURES_AS),
                              ("compress", GEOMETRIES)):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} is unknown", received=repr(getattr(self, name)), expected=", ".join(choices))
        shares = (1.0, *self.lods)
        if len(shares) > MAX_LEVELS or not all(isinstance(share, float) and 0 < share < above
                                               for above, share in zip(shares, shares[1:], strict=False)):
            raise InputError("the levels of detail are out of range", received=", ".join(map(str, self.lods)),
                             expected=f"at most {MAX_LEVELS - 1} shares below 1, each smaller than the one before")
        given = [name for name in ("height", "width", "depth") if getattr(self, name) is not None]
        if len(given) > 1:
            raise InputError("the mesh can only be scaled uniformly", received=" and ".join(given),
                             expected="one of height, width and depth")
        for name in given:
            value = getattr(self, name)
            if not isinstance(value, int | float) or not math.isfinite(value) or not 0 < value <= MAX_METRES:
                raise InputError(f"{name} is out of range", received=repr(value), expected=f"metres, above 0 and at most {MAX_METRES:g}")

    def of_the_request(self, textured: bool = True) -> dict[str, int]:
        """Those that a `Request` has too, where they are given. textured : as the request has it"""
        names = ("faces", "texture") if textured else ("faces",)
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @property
    def encoding(self) -> Encoding:
        """Of the GLB files."""
        return Encoding(self.texture_format, self.compress)

    @property
    def size(self) -> tuple[str, float] | None:
        """The dimension that is asked for, and its metres."""
        return next(((name, float(value)) for name in ("height", "width", "depth") if (value := getattr(self, name)) is not None), None)


def levels(text: str) -> tuple[float, ...]:
    """The shares that --lods says: their count with the finest one, each then half of the one before; or the shares themselves."""
    try:
        if text.isdigit():
            return tuple(0.5**level for level in range(1, min(int(text), MAX_LEVELS + 1)))
        return tuple(float(share) for share in text.split(","))
    except ValueError:
        raise InputError("lods is out of range", received=repr(text), expected="a count, such as 4, or shares, such as 0.5,0.125") from None


def _in_range(name: str, value: object, low: int, high: int) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high):
        raise InputError(f"{name} is out of range", received=repr(value), expected=f"an integer, {low} to {high}")
