"""Reads the materials of OBJ files: MTL, of which base colours and their pictures are kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ...geometry.shading import to_linear
from ..scene.notices import Notices, quoted
from ..scene.surfaces import WHITE, Material
from .text import MAX_NAME_LENGTH, decode_name, line_argument, plain_text, strip_comment

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
# The options of a picture, with as many arguments as each takes; those of -o, -s and -t may lack their last ones.
_OPTION = (rf"-(?:(?P<places>[ost])(?P<numbers>(?:\s+{_NUMBER}){{1,3}})|mm(?P<range>(?:\s+{_NUMBER}){{2}})"
           rf"|(?:bm|boost|texres)\s+{_NUMBER}\w*|(?P<switch>clamp|cc|blendu|blendv)\s+(?P<on>on|off)"
           r"|(?P<channel>imfchan)\s+[rgbmlz]|type\s+\w+|colorspace\s+\w+)")
_LEADING = re.compile(rf"\s*{_OPTION}\s+(?=\S)", re.IGNORECASE)
_TRAILING = re.compile(rf"\s+{_OPTION}\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Map:
    """A picture statement of an MTL file.

    name : of the picture as it is written
    scale, offset : across and up (-s, -o): the picture is looked up at uv * scale + offset, as three.js and Blender do it
    clamp : the picture does not repeat (-clamp on)
    ignored : options that would change its colours
    """

    name: str
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    clamp: bool = False
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ObjMaterial:
    """A material, and where its picture is looked up: at uv * scale + offset, uv with its origin at the bottom left."""

    material: Material = WHITE
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)


@dataclass
class MtlStatements:
    """What an MTL file says of one material: of each keyword, in small letters, the last statement."""

    name: str
    said: dict[str, str] = field(default_factory=dict)


def read_statements(data: bytes) -> dict[str, MtlStatements]:
    """The materials of an MTL file by name, as `newmtl` gives it, a comment behind it included."""
    materials: dict[str, MtlStatements] = {}
    current: dict[str, str] = {}
    for line in plain_text(data).split(b"\n"):
        words = line.split(None, 1)
        if not words or words[0].startswith(b"#"):
            continue
        keyword = decode_name(words[0]).lower()
        if keyword == "newmtl":
            name = line_argument(line)
            materials[name] = MtlStatements(name)
            current = materials[name].said
        else:
            current[keyword] = line_argument(line)
    return materials


def parsed_map(text: str) -> Map:
    """What follows `map_Kd`: options, which some programs put behind the name, and the name, which may hold spaces."""
    scale, offset, clamp, ignored = (1.0, 1.0), (0.0, 0.0), False, []
    text = text.strip()
    if len(text) > MAX_NAME_LENGTH:
        return Map(text)
    while option := _LEADING.match(text) or _TRAILING.search(text):
        text = (text[:option.start()] + text[option.end():]).strip()
        numbers = [float(number) for number in (option["numbers"] or option["range"] or "").split()]
        place, switch, on = (option["places"] or "").lower(), (option["switch"] or "").lower(), (option["on"] or "").lower() == "on"
        if place == "s":
            scale = (numbers[0], numbers[1] if len(numbers) > 1 else 1.0)
        elif place == "o":
            offset = (numbers[0], numbers[1] if len(numbers) > 1 else 0.0)
        elif switch == "clamp":
            clamp = on
        elif (place == "t" and any(numbers)) or (option["range"] and numbers != [0, 1]) or (switch == "cc" and on) or option["channel"]:
            ignored.append(option[0].strip())
    return Map(text, scale, offset, clamp, tuple(ignored))


def material_of(statements: MtlStatements, picture: Callable[[str], np.ndarray | None], notices: Notices) -> ObjMaterial:
    """The material that statements describe. `Kd 0 0 0` beside a picture means the picture alone, as so many programs write it.

    picture : the pixels (h, w, 3) uint8 of a name, or None where there are none, of which it gives notice itself
    notices : gets what could not be honoured
    """
    said, name = statements.said, statements.name
    color = _color(said.get("kd"), name, notices)
    texture_map = parsed_map(said["map_kd"]) if said.get("map_kd") else None
    pixels = None
    if texture_map is not None:
        pixels = picture(texture_map.name)
        if texture_map.ignored:
            notices.add("options of pictures are not applied", f"{', '.join(texture_map.ignored)} of material {quoted(name)}")
        color = np.ones(3, np.float32) if not color.any() else color
    _tell_the_rest(said, name, color, notices)
    if texture_map is None or pixels is None:
        return ObjMaterial(Material(color))
    wrap = ("clamp", "clamp") if texture_map.clamp else ("repeat", "repeat")
    return ObjMaterial(Material(color, pixels, wrap), texture_map.scale, texture_map.offset)


def _color(text: str | None, name: str, notices: Notices) -> np.ndarray:
    """(3,) float32, linear light, of the sRGB values that `Kd` gives; a single number stands for a grey; white where it gives none."""
    if not text:
        return np.ones(3, np.float32)
    try:
        values = np.array([float(word) for word in strip_comment(text).split()[:3]])
    except ValueError:  # spectral and xyz are kinds of colours that nothing writes
        values = np.empty(0)
    if values.size not in (1, 3) or not np.isfinite(values).all():
        notices.add("unrecognised colours are treated as white", f"{quoted(text)} of material {quoted(name)}")
        return np.ones(3, np.float32)
    if values.min() < 0 or values.max() > 1:
        notices.add("colours outside of 0 to 1 are cut off", f"{quoted(text)} of material {quoted(name)}")
    return to_linear(np.broadcast_to(values, 3).clip(0, 1).astype(np.float32))


def _tell_the_rest(said: dict[str, str], name: str, color: np.ndarray, notices: Notices) -> None:
    """Notices of statements that are not read and that show in base colours."""
    opaque = _first_number(said.get("d"), 1.0) if "d" in said else 1 - _first_number(said.get("tr"), 0.0)
    if opaque < 1 or said.get("map_d"):
        notices.add("transparent materials are shown opaque", quoted(name))
    if not said.get("map_kd") and said.get("map_ka"):
        notices.add("pictures of ambient light (map_Ka) are left out", f"of material {quoted(name)}")
    if not color.any() and (said.get("map_ke") or _first_number(said.get("ke"), 0.0) > 0):
        notices.add("light that black materials give (Ke) is left out", quoted(name))


def _first_number(text: str | None, default: float) -> float:
    for word in (text or "").split():
        try:
            return float(word)
        except ValueError:
            continue
    return default
