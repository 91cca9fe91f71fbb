"""The options of a request as they may be given, with files where it holds what is in them; and reading those files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict

from ..engines.errors import InputError
from .files.reader import MeshFile, read_mesh
from .geometry.mesh import Mesh
from .images import MATTES
from .images.pictures import Picture, read_picture
from .saved_run import SavedRun, read_run

MAX_PICTURES = 6
File = str | os.PathLike[str]


class GenerationOptions(TypedDict, total=False):
    """Of every request: `Request` says what they mean."""

    seed: int
    geometry_seed: int | None
    texture_seed: int | None
    steps: int | None
    guidance: float | None
    prior_steps: int | None
    prior_guidance: float | None
    sampler: str | None
    prior_sampler: str | None
    guidance_interval: tuple[float, float] | None
    prior_guidance_interval: tuple[float, float] | None
    quality: str | None
    deep_cache: int | None
    faces: int | None
    texture: int | None
    texture_from: str | None
    textured: bool
    control: Picture | File | None
    control_scale: float | None


class RequestOptions(GenerationOptions, total=False):
    """And what the mesh is made from besides a prompt.

    views : {azimuth: picture}, or pairs
    matte : one of `Request.matte`, or a matte as a picture. What is no file is taken for a word with a slip in it
    """

    image: Picture | File | None
    views: Mapping[float, Picture | File] | Mapping[int, Picture | File] | Iterable[tuple[float, Picture | File]]
    matte: Picture | File
    recipe: str | None
    route: str | None
    mesh: Mesh | MeshFile | File | None
    run: SavedRun | File | None


def load_options(options: RequestOptions) -> dict[str, Any]:
    """The fields of a `Request`, which checks them: files are read, the rest is as it was given.

    Errors: InputError for an option that there is not, more than six pictures, or a file that cannot be read.
    """
    unknown = options.keys() - RequestOptions.__annotations__.keys()
    if unknown:
        raise InputError("unknown option", received=", ".join(sorted(unknown)), expected=", ".join(RequestOptions.__annotations__))
    fields: dict[str, Any] = dict(options)
    if "views" in fields:
        fields["views"] = pairs_of(fields["views"])
        check_count(fields["views"], fields.get("image"))
        fields["views"] = tuple((azimuth, _read(picture, read_picture)) for azimuth, picture in fields["views"])
    for name in fields.keys() & {"image", "control"}:
        fields[name] = _read(fields[name], read_picture)
    if "matte" in fields:
        fields |= _matte(fields["matte"])
    if "run" in fields:
        fields["run"] = _read(fields["run"], read_run)
    if "mesh" in fields:
        mesh = _read(fields["mesh"], read_mesh)
        fields["mesh"] = MeshFile(mesh) if isinstance(mesh, Mesh) else mesh
    return fields


def pairs_of(views: Any) -> tuple[tuple[object, object], ...]:
    """(azimuth, picture), neither of them checked. InputError if there are no such pairs."""
    try:
        return tuple((azimuth, picture) for azimuth, picture in (views.items() if isinstance(views, Mapping) else views))
    except (TypeError, ValueError) as error:
        raise InputError("views is not a list of azimuths and pictures", received=type(views).__name__,
                         expected="{azimuth: picture, ...}") from error


def check_count(pairs: tuple[object, ...], image: object) -> None:
    """InputError if there are more pictures than views are drawn."""
    count = len(pairs) + (image is not None)
    if count > MAX_PICTURES:
        raise InputError("too many pictures", received=str(count), expected=f"at most {MAX_PICTURES}")


def _read(value: object, read: Callable[[File], object]) -> object:
    return read(value) if isinstance(value, str | os.PathLike) else value


def _matte(value: object) -> dict[str, object]:
    if isinstance(value, Picture):
        return {"matte": "auto", "matte_picture": value}
    if not isinstance(value, str | os.PathLike) or value in MATTES:
        return {"matte": value, "matte_picture": None}
    if not os.path.exists(value):
        raise InputError("unknown matte", received=repr(os.fspath(value)),
                         expected=f"{', '.join(MATTES)}, or a file that is there")
    return {"matte": "auto", "matte_picture": read_picture(value)}
