"""What a task may say: one JSON Schema, which the server checks requests against and its OpenAPI document shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..assets.presets import PRESETS
from ..files.writer import ENDINGS
from ..images import MATTES
from ..pack.manifest import MAX_FACES, MAX_GUIDANCE, MAX_STEPS, TEXTURE_SOURCES, TEXTURES
from ..request import MAX_CONTROL, MAX_DEEP_CACHE, RECIPES, ROUTES, WORDS
from ..request_options import MAX_PICTURES

MAX_PROMPT = 4096
# What is said of the result, and is no option of a `Request`.
OF_THE_RESULT = ("type", "pack", "format", "for", "name")
MAX_SEED = 2**64 - 1
DATA_URL = r"^(data:[^,]*;base64,)?[A-Za-z0-9+/]*={0,2}$"

PICTURE = {"type": "string", "pattern": DATA_URL, "minLength": 4,
           "description": "a PNG, JPEG, WebP, BMP or GIF file as base64 or as a data: URL. Web addresses are not fetched"}
MESH = {"type": "string", "pattern": DATA_URL, "minLength": 4, "description": "a GLB file as base64 or as a data: URL"}
SEED = {"type": "integer", "minimum": 0, "maximum": MAX_SEED}
STEPS = {"type": "integer", "minimum": 1, "maximum": MAX_STEPS}
GUIDANCE = {"type": "number", "minimum": 0, "maximum": MAX_GUIDANCE}
INTERVAL = {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number", "minimum": 0},
            "description": "noise over signal, the lower end first, within which there is guidance"}

OPTIONS: dict[str, dict[str, Any]] = {
    "type": {"type": "string", "enum": ["generate", "refine", "texture", "finish"], "default": "generate",
             "description": "generate: from a prompt, pictures or both; refine: redraw `mesh` as `prompt` says; texture: give"
             " `mesh` a new texture, by `prompt` or `image`, and change nothing else of it; finish: make `mesh` ready for `for`,"
             " without networks"},
    "prompt": {"type": "string", "maxLength": MAX_PROMPT, "description": "what to make, in words"},
    "image": PICTURE,
    "views": {"type": "array", "maxItems": MAX_PICTURES, "description": "further pictures of the same object",
              "items": {"type": "object", "additionalProperties": False, "required": ["azimuth", "image"],
                        "properties": {"azimuth": {"type": "number", "minimum": -360, "maximum": 360,
                                                   "description": "degrees to the right of the first picture"}, "image": PICTURE}}},
    "matte": {"type": "string", "enum": list(MATTES), "description": "how the object is told from its background"},
    "recipe": {"type": "string", "enum": list(RECIPES), "description": "method, of those that the pack has"},
    "route": {"type": "string", "enum": list(ROUTES), "description": "how a picture becomes a mesh"},
    "mesh": MESH,
    "control": PICTURE | {"description": "a control picture for the whole grid of views, for packs with a ControlNet"},
    "control_scale": {"type": "number", "minimum": 0, "maximum": MAX_CONTROL},
    "seed": SEED | {"default": 0},
    "geometry_seed": SEED | {"description": "of the shape; that of `seed` if left out"},
    "texture_seed": SEED | {"description": "of the look; that of `seed` if left out"},
    "textured": {"type": "boolean", "default": True, "description": "false ends with the shape, with vertex colours"},
    "steps": STEPS | {"description": "of the loop that draws the views"}, "guidance": GUIDANCE,
    "prior_steps": STEPS | {"description": "of the coarse shape"}, "prior_guidance": GUIDANCE,
    "sampler": {"type": "string", "enum": list(WORDS["sampler"])}, "prior_sampler": {"type": "string", "enum": list(WORDS["sampler"])},
    "guidance_interval": INTERVAL, "prior_guidance_interval": INTERVAL,
    "deep_cache": {"type": "integer", "minimum": 1, "maximum": MAX_DEEP_CACHE,
                   "description": "in how many steps of the views' loop all layers are computed once, in packs exported for it"},
    "quality": {"type": "string", "enum": list(WORDS["quality"]),
                "description": "stands for steps, sampler and texture, where they are left out"},
    "faces": {"type": "integer", "minimum": 4, "maximum": MAX_FACES, "description": "most triangles"},
    "texture": {"type": "integer", "enum": list(TEXTURES), "description": "side of the texture, in pixels"},
    "texture_from": {"type": "string", "enum": list(TEXTURE_SOURCES)},
    "pack": {"type": "string", "maxLength": 256, "description": "one of the server's packs; the first one if left out"},
    "for": {"type": "string", "enum": list(PRESETS), "description": "a game engine, whose levels of detail, collision shapes, size, pivot"
            " and names the files get"},
    "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", "default": "result",
             "description": "what the result's files, and the objects in them, are called"},
    "format": {"type": "string", "enum": [ending[1:] for ending in ENDINGS], "default": "glb"},
}
TASK = {"type": "object", "additionalProperties": False, "properties": OPTIONS}
# Values that come as files.
FILES = ("image", "mesh", "control")

TYPES: dict[str, tuple[type, ...]] = {"boolean": (bool,), "string": (str,), "integer": (int,), "number": (int, float), "array": (list,),
                                      "object": (dict,)}


def faults(value: object, schema: Mapping[str, Any], pointer: str = "") -> Iterator[tuple[str, str]]:
    """(JSON pointer, what is wrong) for everything in which a value differs from a schema, of those parts of JSON Schema that we use."""
    kinds = TYPES[schema["type"]]
    # A boolean is an int to Python, and 1.0 is an integer to JSON Schema.
    whole = kinds == (int,) and isinstance(value, float) and value.is_integer()
    if isinstance(value, bool) != (kinds == (bool,)) or not (isinstance(value, kinds) or whole):
        yield pointer, f"expected {_named(schema['type'])}"
    elif isinstance(value, str):
        if "enum" in schema and value not in schema["enum"]:
            yield pointer, f"expected one of {', '.join(schema['enum'])}"
        elif not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            yield pointer, f"expected {schema.get('minLength', 0)} to {schema.get('maxLength', 'any number of')} characters"
        elif "pattern" in schema and not re.match(schema["pattern"].removesuffix("$") + r"\Z", value):  # not before a line's end
            yield pointer, f"expected {'base64, or a data: URL with base64' if schema['pattern'] == DATA_URL else schema['pattern']}"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if "enum" in schema and value not in schema["enum"]:
            yield pointer, f"expected one of {', '.join(map(str, schema['enum']))}"
        elif not schema.get("minimum", value) <= value <= schema.get("maximum", value):  # NaN is within no range
            yield pointer, f"expected {schema.get('minimum')} to {schema.get('maximum', 'any')}"
    elif isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema["maxItems"]:
            yield pointer, f"expected {schema.get('minItems', 0)} to {schema['maxItems']} entries"
        for index, item in enumerate(value[:schema["maxItems"]]):
            yield from faults(item, schema["items"], f"{pointer}/{index}")
    elif isinstance(value, dict):
        for name, item in value.items():
            if name in schema["properties"]:
                yield from faults(item, schema["properties"][name], f"{pointer}/{name}")
            else:
                yield f"{pointer}/{name[:64]}", f"unknown option; expected {', '.join(schema['properties'])}"
        yield from ((f"{pointer}/{name}", "is missing") for name in schema.get("required", ()) if name not in value)


def _named(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
