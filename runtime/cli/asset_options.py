"""The options of the command line that make a mesh what an engine takes, and what they say together."""

from __future__ import annotations

import argparse
from argparse import Namespace
from dataclasses import replace
from typing import Any

ENGINES = ("unreal", "unity", "godot", "roblox", "blender", "web")
# Of `AssetOptions`; `faces` and `texture` are options of everything that makes a mesh, and ask for nothing else.
OWN = ("lods", "collision", "max_hulls", "height", "width", "depth", "real_size", "origin", "naming", "normal_map", "occlusion",
       "texture_format", "compress", "quads")


def add_asset_options(parser: argparse.ArgumentParser) -> None:
    """None stands for what nobody has said; the ranges are checked by `AssetOptions`."""
    add = parser.add_argument_group("for game engines").add_argument
    add("--for", dest="engine", choices=ENGINES, metavar="ENGINE",
        help=f"presets of names, levels, collision, size, pivot, triangles and textures for an engine: {', '.join(ENGINES)};"
             " overridden by each of the following options, and by --faces and --texture")
    add("--lods", metavar="LEVELS", help="levels of detail: their number, each with half the triangles; or the ratios, such as 0.5,0.125")
    add("--collision", metavar="KIND", help="none, box, hull, or hulls: convex parts, with the extra [collision] (default none)")
    add("--max-hulls", type=int, metavar="N", help="maximum number of convex parts (default 16)")
    add("--height", type=float, metavar="METRES", help="scale the mesh to this height")
    add("--width", type=float, metavar="METRES", help="or to this width")
    add("--depth", type=float, metavar="METRES", help="or to this depth, from front to back")
    add("--real-size", action=argparse.BooleanOptionalAction, default=None, help="scale to the pack's typical size of such objects")
    add("--origin", metavar="PLACE", help="pivot: keep, or bottom or center of the bounding box (default keep)")
    add("--naming", metavar="ENGINE", help="naming of files and nodes: plain, unreal, unity or godot (default plain)")
    add("--normal-map", action=argparse.BooleanOptionalAction, default=None, help="bake the dense surface into a normal map")
    add("--occlusion", action=argparse.BooleanOptionalAction, default=None, help="bake ambient occlusion")
    add("--quads", action=argparse.BooleanOptionalAction, default=None,
        help="remesh the surface into quads, with the extra [quads]: faces of an OBJ, pairs of triangles in a GLB")
    add("--texture-format", metavar="FORMAT", help="colour texture format: png, jpeg, webp, or ktx2 with the extra [ktx2]"
                                                        " (default png)")
    add("--compress", metavar="CODEC", help="compress the geometry: none, meshopt or draco, with the extra of that name (default none)")


def asset_options(options: Namespace) -> Any:
    """The `AssetOptions` that the preset and what was said explicitly make together; None where neither asks for anything."""
    from ..assets.limits import check_encoding
    from ..assets.options import AssetOptions, levels
    from ..assets.presets import PRESETS
    from ..geometry.quads import require_quads

    given = {name: value for name in ("faces", "texture", *OWN) if (value := getattr(options, name, None)) is not None}
    if options.engine is None and not given.keys() & set(OWN):
        return None
    if "lods" in given:
        given["lods"] = levels(given["lods"])
    preset = PRESETS[options.engine] if options.engine else AssetOptions()
    if given.keys() & {"height", "width", "depth"}:
        preset = replace(preset, real_size=False)
    chosen = replace(preset, **given)
    check_encoding(chosen, options.engine or "")
    if chosen.quads:
        require_quads()
    return chosen
