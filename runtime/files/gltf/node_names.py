"""Names by which engines know nodes that are not drawn beside the others: coarser levels of detail, and collision shapes."""

from __future__ import annotations

import re
from collections.abc import Collection

LEVELS, SHAPES = "coarser levels of detail", "collision shapes"
COARSER = re.compile(r"(.+)_LOD0*[1-9]\d*")
UNREAL = re.compile(r"U(?:BX|CP|SP|CX)_(.+)_\d+")
OURS = re.compile(r"(.+)_(?:box|hull)_\d\d")
GODOT = re.compile(r".+-(?:conv)?colonly")


def undrawn(names: Collection[str]) -> dict[str, str]:
    """Those of a file's nodes that are levels of detail (Unity's NAME_LOD1 beside NAME_LOD0) or collision shapes (Unreal's UCX_NAME_00
    beside NAME, ours NAME_hull_00, Godot's suffix -colonly), and which of both. A node without the one that it belongs to is drawn.
    """
    found = {}
    for name in names:
        if (level := COARSER.fullmatch(name)) and f"{level[1]}_LOD0" in names:
            found[name] = LEVELS
        elif GODOT.fullmatch(name) or any((shape := form.fullmatch(name)) and shape[1] in names for form in (UNREAL, OURS)):
            found[name] = SHAPES
    return found
