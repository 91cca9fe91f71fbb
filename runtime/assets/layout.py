"""Which files an asset has and what their nodes are called, so that the engine it is for knows what they are.

| naming | levels of detail | collision shapes |
|---|---|---|
| plain | `NAME_LOD0.glb`, `NAME_LOD1.glb`, ... | `NAME_collision.glb`, nodes `NAME_box_00`, `NAME_hull_00`, ... |
| unreal | the same files, each with a node `NAME` | nodes `UBX_NAME_00`, `UCX_NAME_00`, ... beside `NAME` in the first file |
| unity | one file: nodes `NAME_LOD0`, `NAME_LOD1`, ... below a node `NAME`, which becomes an LOD group | as plain |
| godot | as plain, each with a node `NAME` | nodes `NAME_box_00-convcolonly`, `NAME_hull_00-convcolonly`, ... in the first file |

A single level is `NAME.glb` with a node `NAME`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...engines.errors import InputError
from .options import AssetOptions

COLLISION_FILE = "_collision"


@dataclass(frozen=True)
class Content:
    """What a file holds. levels : (number, node name); hulls : whether the collision shapes; group : node above the levels, or None"""

    levels: tuple[tuple[int, str], ...] = ()
    hulls: bool = False
    group: str | None = None


def contents(path: Path, options: AssetOptions) -> dict[Path, Content]:
    """The files that an asset saved as `path` has, the one with the finest level first.

    InputError for a format other than GLB, if the options ask for what only that can hold.
    """
    name, hulls = path.stem, options.collision != "none"
    if path.suffix.lower() != ".glb":
        _check_plain(path, options)
    inside = hulls and options.naming in ("unreal", "godot")
    beside = {path.with_name(f"{name}{COLLISION_FILE}.glb"): Content(hulls=True)} if hulls and not inside else {}
    if not options.lods:
        return {path: Content(((0, name),), inside), **beside}
    numbers = range(len(options.lods) + 1)
    if options.naming == "unity":
        return {path: Content(tuple((k, f"{name}_LOD{k}") for k in numbers), inside, name), **beside}
    files = {}
    for k in numbers:
        own = path.with_name(f"{name}_LOD{k}{path.suffix}")
        files[own] = Content(((k, own.stem if options.naming == "plain" else name),), inside and k == 0)
    return files | beside


def hull_names(name: str, kind: str, count: int, naming: str) -> Sequence[str]:
    """The nodes of collision shapes of the mesh `name`. kind : "box" or "hull" """
    if naming == "unreal":
        return [f"{'UBX' if kind == 'box' else 'UCX'}_{name}_{k:02}" for k in range(count)]
    suffix = "-convcolonly" if naming == "godot" else ""
    return [f"{name}_{kind}_{k:02}{suffix}" for k in range(count)]


def _check_plain(path: Path, options: AssetOptions) -> None:
    asked = {"levels of detail": bool(options.lods), "collision shapes": options.collision != "none", "a normal map": options.normal_map,
             "occlusion": options.occlusion, options.texture_format.upper(): options.texture_format != "png",
             "compressed geometry": options.compress != "none"}
    found = [what for what, wanted in asked.items() if wanted]
    if found:
        raise InputError(f"{path.name} cannot hold {', '.join(found)}", expected="a name that ends in .glb")
