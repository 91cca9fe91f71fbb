"""From the body of a request to a task: checked, pictures and meshes taken out of it as files."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...engines.errors import InputError, printable
from ..images.picture_decoding import READS, kind_of, refused_kind
from ..request import Request
from .problems import Problem
from .schema import FILES, OF_THE_RESULT, OPTIONS, TASK, faults

# Of JSON, outside of its strings: a task has a handful of values, and each of millions would take memory before it is refused.
MAX_STRUCTURE = 10_000
STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
GLB = b"glTF"
# Options that a mesh which stays as it is has no use for.
NOT_TEXTURE = ("views", "recipe", "route", "faces", "texture_from", "for", "geometry_seed", "textured")
GLB_HEADER = 12


@dataclass(frozen=True)
class Submission:
    """request : the options, with {"file": name} in place of what came as a file; files : name -> contents

    fingerprint : equal for equal submissions
    """

    request: Mapping[str, Any]
    files: Mapping[str, bytes]
    fingerprint: str


def parsed(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Problem if it is none."""
    if len(STRING.sub(b"", body)) > MAX_STRUCTURE:
        raise Problem(413, "the JSON is too large", f"expected at most {MAX_STRUCTURE} characters outside of its strings")
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "the body is not JSON", printable(str(error))[:200]) from error
    if not isinstance(value, dict):
        raise Problem(400, "the body is not a JSON object", "expected {\"prompt\": ...}")
    return value


def submission(fields: Mapping[str, Any], packs: Sequence[str]) -> Submission:
    """A checked task. Problem, with every field that is wrong.

    fields : as the schema says, but a file may be bytes instead of base64; packs : the server's
    """
    fields = {name: value for name, value in fields.items() if value is not None}
    wrong = list(faults({name: "data" if isinstance(value, bytes) else value for name, value in fields.items()}, TASK))
    if "pack" in fields and fields["pack"] not in packs:
        wrong.append(("/pack", f"no such pack; expected one of {', '.join(packs)}"))
    wrong += _missing(fields)
    if wrong:
        raise Problem(422, "the task is wrong", faults=wrong)
    files: dict[str, bytes] = {}
    fields = {name: int(value) if OPTIONS[name]["type"] == "integer" else value for name, value in fields.items()}  # JSON has 3.0 too
    request: dict[str, Any] = {"type": "generate", "seed": 0, "format": "glb", "name": "result", "pack": packs[0], **fields}
    for name in FILES:
        if name in request:
            request[name] = _as_file(request[name], name, f"/{name}", files)
    if "views" in request:
        request["views"] = [{"azimuth": view["azimuth"], "image": _as_file(view["image"], f"view{i}", f"/views/{i}/image", files)}
                            for i, view in enumerate(request["views"])]
    _check_ranges(request)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    fingerprint = hashlib.sha256(json.dumps([request, digests], sort_keys=True).encode()).hexdigest()
    return Submission(request, files, fingerprint)


def _missing(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a task of its type needs and may not have."""
    if "for" in fields and fields.get("format", "glb") != "glb":
        return [("/format", "belongs to a task without \"for\": engines take GLB")]
    if fields.get("type") == "finish":
        return ([] if fields.get("mesh") else [("/mesh", "is missing; a task of type finish needs it")]) + [
            (f"/{name}", "does not belong to a task of type finish") for name in fields
            if name not in ("type", "mesh", "faces", "texture", *OF_THE_RESULT)]
    if fields.get("type") == "refine":
        return ([(f"/{name}", "is missing; a task of type refine needs it") for name in ("mesh", "prompt") if not fields.get(name)]
                + [(f"/{name}", "does not belong to a task of type refine") for name in ("image", "views", "recipe", "route", "matte")
                   if name in fields])
    if fields.get("type") == "texture":
        missing = [] if fields.get("mesh") else [("/mesh", "is missing; a task of type texture needs it")]
        if not (fields.get("prompt") or fields.get("image")):
            missing.append(("/prompt", "is missing; a task of type texture needs a prompt, a picture or both"))
        return missing + [(f"/{name}", "does not belong to a task of type texture") for name in NOT_TEXTURE if name in fields]
    if "mesh" in fields:
        return [("/mesh", "belongs to a task of type refine, texture or finish")]
    if not (fields.get("prompt") or fields.get("image") or fields.get("views")):
        return [("/prompt", "is missing; a task needs a prompt, a picture or both")]
    return []


def _check_ranges(request: Mapping[str, Any]) -> None:
    """What the schema cannot say, such as a prompt of spaces. The pictures themselves are looked at by the worker."""
    options = {name: value for name, value in request.items() if name not in (*OF_THE_RESULT, "views", "matte", "route", *FILES)}
    prompt = options.pop("prompt", "")
    options.pop("control_scale", None)  # means nothing without its picture
    try:
        without_words = request["type"] == "finish" or request.keys() & {"image", "views"}
        Request(prompt or ("object" if without_words else ""), **options)
    except InputError as error:
        name = next((name for name in options if name in error.subject), "prompt")
        raise Problem(422, "the task is wrong", faults=[(f"/{name}", str(error))]) from error


def _as_file(value: str | bytes, name: str, pointer: str, files: dict[str, bytes]) -> dict[str, str]:
    """Puts the contents of a file into `files`, and gives what stands in its place."""
    data = value if isinstance(value, bytes) else _decoded(value, pointer)
    ending = _mesh_ending(data, pointer) if name == "mesh" else _picture_ending(data, pointer)
    files[f"{name}.{ending}"] = data
    return {"file": f"{name}.{ending}"}


def _decoded(text: str, pointer: str) -> bytes:
    try:
        return base64.b64decode(text.rpartition(",")[2], validate=True)
    except binascii.Error as error:
        raise Problem(422, "the task is wrong", faults=[(pointer, f"is not base64: {error}")]) from error


def _picture_ending(data: bytes, pointer: str) -> str:
    kind = kind_of(data)
    if kind is None:
        refused = refused_kind(data)
        came = "the file is not a readable image" if refused is None else f"the file is {refused.name}"
        raise Problem(422, "the task is wrong", faults=[(pointer, f"{came}; expected {READS}")])
    return kind.lower()


def _mesh_ending(data: bytes, pointer: str) -> str:
    """A GLB alone: other formats name further files. Its own length is looked at before anything believes it."""
    if data[:4] != GLB or len(data) < GLB_HEADER or int.from_bytes(data[8:GLB_HEADER], "little") != len(data):
        raise Problem(422, "the task is wrong", faults=[(pointer, "the file is not a whole GLB")])
    return "glb"


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
