"""`lint`: one verdict a check on a mesh file, with the number and the limit of the engine that the file is for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..geometry.topology import edge_report, welded
from .collision import MAX_CORNERS
from .file_parts import MeshParts, NodePart, read_parts
from .layout import COLLISION_FILE
from .limits import LIMITS, Limits
from .lint_checks import degenerate_faces, gutter, is_convex, texel_density, uv_overlap

SEVERITIES = ("ok", "note", "warning", "error")
LEVEL = re.compile(r"(.*)_LOD(\d+)\Z")
HULL = re.compile(r"(UBX|UCX|USP|UCP)_(?P<unreal>.+)_\d\d\Z|(?P<other>.+)_(box|hull)_\d\d(-convcolonly)?\Z")
POWERS = tuple(2**k for k in range(15))
MOST_OVERLAP, LEAST_GUTTER, MOST_SPREAD = 0.001, 2, 16.0
MOST_DEGENERATE = 0.1
METRES = (0.01, 100.0)


@dataclass(frozen=True)
class Verdict:
    """What one check found.

    check : its name
    severity : "ok", "note", "warning" or "error"
    about : the node, texture or file
    found, limit : in words
    """

    check: str
    severity: str
    about: str
    found: str
    limit: str = ""

    def describe(self) -> dict[str, str]:
        """Plain JSON."""
        return asdict(self)


def lint(path: str | os.PathLike[str], engine: str | None = None) -> tuple[Verdict, ...]:
    """Every verdict on a mesh file: GLB, glTF, or another that `read_mesh` reads. InputError if it cannot be read.

    engine : one of `LIMITS`; None takes the one that the file says it was made for
    """
    file = read_parts(Path(path))
    own = file.extras.get("asset")
    made_for = own.get("for", "") if isinstance(own, dict) else ""
    name = engine if engine is not None else made_for if made_for in LIMITS else ""
    limits = LIMITS[name]
    drawn = [part for part in file.parts if not _is_hull(part, file)]
    verdicts = [*_triangles(file, drawn, limits), *(each for part in drawn for each in _surface(part, limits)),
                *(each for part in drawn if part.mesh.uvs is not None for each in _texture_space(part)),
                *(each for part in file.parts if _is_hull(part, file) for each in _hull(part, drawn, name)),
                *_textures(file, limits), *_place(file, drawn, name), *_names(file), *_files(file, drawn)]
    return tuple(verdicts)


def worst(verdicts: Iterable[Verdict]) -> str:
    """The gravest severity among them; "ok" for none."""
    return max((verdict.severity for verdict in verdicts), key=SEVERITIES.index, default="ok")


def _judged(check: str, fine: bool, severity: str, about: str, found: str, limit: str = "") -> Verdict:
    """A verdict of that severity, unless all is fine."""
    return Verdict(check, "ok" if fine else severity, about, found, limit)


def _is_hull(part: NodePart, file: MeshParts) -> bool:
    return HULL.match(part.name) is not None or file.path.stem.endswith(COLLISION_FILE)


def _triangles(file: MeshParts, drawn: Sequence[NodePart], limits: Limits) -> Iterator[Verdict]:
    levels = _levels(drawn)
    finest = [part for part in drawn if LEVEL.match(part.name) is None or part in levels[:1]]
    count = sum(len(part.mesh.faces) for part in finest)
    over = limits.triangles is not None and count > limits.triangles
    yield Verdict("triangles", ("error" if limits.hard else "warning") if over else "ok", file.path.name, f"{count:,}",
                  "" if limits.triangles is None else f"at most {limits.triangles:,}")


def _surface(part: NodePart, limits: Limits) -> Iterator[Verdict]:
    mesh = welded(part.mesh)
    report = edge_report(mesh)
    open_edges = report.boundary
    yield _judged("closed", not open_edges, "error" if limits.closed else "note", part.name, f"{open_edges} open edges", "0")
    crowded = report.non_manifold
    yield _judged("manifold", not crowded, "warning", part.name, f"{crowded} edges of more than two faces", "0")
    turned = report.misoriented
    yield _judged("winding", not turned, "warning", part.name, f"{turned} edges between faces of opposite fronts", "0")
    if report.watertight:
        inside_out = mesh.signed_volume < 0
        yield _judged("inside out", not inside_out, "error", part.name, f"faces look {'in' if inside_out else 'out'}wards")
    thin = degenerate_faces(part.mesh)
    # A few on flat sides, which decimation leaves, hurt nobody; many are a fault of whatever made the mesh.
    grave = thin > MOST_DEGENERATE * len(part.mesh.faces)
    yield Verdict("degenerate faces", "warning" if grave else "note" if thin else "ok", part.name, str(thin),
                  f"at most {100 * MOST_DEGENERATE:g} % of the triangles")


def _texture_space(part: NodePart) -> Iterator[Verdict]:
    mesh, side = part.mesh, max(part.texture.size) if part.texture is not None and max(part.texture.size) else 1024
    assert mesh.uvs is not None
    outside = bool(mesh.uvs.min() < -1e-6 or mesh.uvs.max() > 1 + 1e-6)
    yield _judged("uv range", not outside, "note", part.name, f"{mesh.uvs.min():.3f} to {mesh.uvs.max():.3f}", "0 to 1")
    if outside:  # a texture that repeats: overlap is meant
        return
    overlap = uv_overlap(mesh, side)
    yield _judged("uv overlap", overlap <= MOST_OVERLAP, "warning", part.name, f"{100 * overlap:.2f} %", f"{100 * MOST_OVERLAP:g} %")
    space = gutter(mesh, side)
    yield _judged("uv gutter", space >= LEAST_GUTTER, "warning", part.name, f"{space} texels", f"at least {LEAST_GUTTER}")
    median, spread = texel_density(mesh, side)
    yield _judged("texel density", spread <= MOST_SPREAD, "note", part.name, f"{median:.0f} texels a metre, within a factor of "
                  f"{spread:.1f}", f"a factor of {MOST_SPREAD:g}")


def _hull(part: NodePart, drawn: Sequence[NodePart], engine: str) -> Iterator[Verdict]:
    mesh = welded(part.mesh)
    closed, convex, corners = edge_report(mesh).watertight, is_convex(mesh), len(mesh.vertices)
    yield _judged("hull", closed and convex, "error", part.name,
                  f"{'closed' if closed else 'open'} and {'convex' if convex else 'not convex'}", "closed and convex")
    yield _judged("hull vertices", corners <= MAX_CORNERS, "warning", part.name, str(corners), f"at most {MAX_CORNERS}")
    match = HULL.match(part.name)
    named = match and match["unreal"]
    if engine == "unreal":
        there = named in {other.name for other in drawn}
        yield _judged("hull name", there, "error", part.name, f"names {'a' if there else 'no'} mesh of the file",
                      "UCX_MESH_00 or UBX_MESH_00")
    elif named or engine == "godot":
        right = engine == "godot" and part.name.endswith("-convcolonly")
        yield _judged("hull name", right, "error", part.name, "", "NAME-convcolonly" if engine == "godot" else "no name of Unreal's")


def _textures(file: MeshParts, limits: Limits) -> Iterator[Verdict]:
    for texture in file.textures:
        known = texture.kind in limits.formats
        yield _judged("texture format", known, "error", texture.name, texture.kind, " or ".join(limits.formats))
        width, height = texture.size
        if not width:
            continue
        fits = max(width, height) <= limits.texture
        even = width in POWERS and height in POWERS
        yield _judged("texture size", fits and even, "warning", texture.name, f"{width} x {height}",
                      f"powers of two up to {limits.texture}")
    unread = [name for name in file.extensions if name not in limits.extensions]
    if file.extensions:
        yield _judged("extensions", not unread, "error", file.path.name, ", ".join(unread or file.extensions), "those that are read")


def _place(file: MeshParts, drawn: Sequence[NodePart], engine: str) -> Iterator[Verdict]:
    shown = [part.mesh for part in drawn or file.parts]
    if not shown:
        yield Verdict("surface", "error", file.path.name, "no triangles", "at least one")
        return
    low, high = np.min([mesh.bounds[0] for mesh in shown], axis=0), np.max([mesh.bounds[1] for mesh in shown], axis=0)
    depth, width, height = (float(side) for side in high - low)
    largest = max(depth, width, height)
    fits = METRES[0] <= largest <= METRES[1]
    yield _judged("size", fits, "warning", file.path.name, f"{width:.3g} wide, {height:.3g} high, {depth:.3g} deep, in metres",
                  f"{METRES[0]:g} to {METRES[1]:g} along the longest side")
    if not drawn:  # collision shapes alone: their mesh is in another file
        return
    inside = bool((low - 0.01 * largest <= 0).all() and (high + 0.01 * largest >= 0).all())
    yield _judged("pivot", inside, "warning", file.path.name, "within the box of the mesh" if inside else "outside of the mesh")
    scaled = [part.name for part in file.parts if part.scaled]
    if scaled:
        yield Verdict("scale", "warning" if engine in ("godot", "unreal") else "note", scaled[0], f"{len(scaled)} nodes are scaled", "none")


def _names(file: MeshParts) -> Iterator[Verdict]:
    twice = sorted({name for name in file.names if file.names.count(name) > 1})
    found = f"twice: {', '.join(map(repr, twice))}" if twice else "a node without a name" if "" in file.names else f"{len(file.names)}"
    yield _judged("names", not twice and "" not in file.names, "warning", file.path.name, found, "each its own")


def _files(file: MeshParts, drawn: Sequence[NodePart]) -> Iterator[Verdict]:
    """Levels of detail: none without a finer one, and each with fewer triangles, in the file and beside it."""
    own = LEVEL.match(file.path.stem)
    if own and int(own[2]) > 0:
        finer = file.path.with_name(f"{own[1]}_LOD{int(own[2]) - 1}{file.path.suffix}")
        there = finer.is_file()
        yield _judged("levels", there, "error", file.path.name, f"{finer.name} is {'' if there else 'not '}there", "the finer level")
    levels = _levels(drawn)
    if levels:
        numbers = [int(LEVEL.match(part.name)[2]) for part in levels]  # type: ignore[index]
        counts = [len(part.mesh.faces) for part in levels]
        begin = int(own[2]) if own else 0
        right = numbers == list(range(begin, begin + len(numbers))) and all(b < a for a, b in zip(counts, counts[1:], strict=False))
        yield _judged("levels", right, "error", file.path.name, ", ".join(f"LOD{n}: {c:,}" for n, c in zip(numbers, counts, strict=True)),
                      "all from LOD0, each with fewer triangles")
    if file.path.stem.endswith(COLLISION_FILE):
        name = file.path.stem.removesuffix(COLLISION_FILE)
        beside = [file.path.with_name(f"{each}{file.path.suffix}") for each in (name, f"{name}_LOD0")]
        there = any(path.is_file() for path in beside)
        yield _judged("collision file", there, "error", file.path.name, f"{name} is {'' if there else 'not '}there", "the mesh")


def _levels(drawn: Sequence[NodePart]) -> list[NodePart]:
    """The nodes that are levels of detail, by number."""
    return sorted((part for part in drawn if LEVEL.match(part.name)), key=lambda part: int(part.name.rpartition("_LOD")[2]))
