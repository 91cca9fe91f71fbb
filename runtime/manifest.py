"""What `pack.json` says, as frozen dataclasses on one screen, and its reader.

The reader believes nothing: a wrong type, a missing entry, a path that leaves the folder or an unknown
format version is a PackFormat error that names the entry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ..engines import EngineSpec, TensorSpec
from ..engines.errors import PackFormat
from .entry import Entry

FORMAT = 1
RECIPES = ("sharp-it",)
TEXTURE_SOURCES = ("views", "field", "blend")
HASH = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class License:
    """Of the weights. commercial_use : "yes", "no" or "unknown"."""

    id: str
    commercial_use: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class FileEntry:
    """One file of the pack but `pack.json` itself: lower-case hexadecimal SHA-256 and size."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Component:
    """One model file. error : absolute and relative, as measured against PyTorch at export."""

    name: str
    kind: str
    file: str
    precision: str
    spec: EngineSpec
    tolerance: float
    error: Mapping[str, float]
    parameters: int


@dataclass(frozen=True)
class Text:
    """length : tokens the text encoder takes, padding included. tokenizer : file name."""

    length: int
    tokenizer: str


@dataclass(frozen=True)
class Diffusion:
    """One denoising loop. unconditional : "empty" (the empty prompt) or "zeros" (no states at all)."""

    latent_shape: tuple[int, ...]
    schedule: Mapping[str, Any]
    steps: int
    guidance: float
    unconditional: str


@dataclass(frozen=True)
class Coarse:
    """The coarse field: `resolution` cells along a cube of half width `bound`, in Shap-E's axes.

    Into the world's axes: x_world = scale * rotation @ x.
    """

    resolution: int
    bound: float
    rotation: tuple[tuple[float, ...], ...]
    scale: float


@dataclass(frozen=True)
class Views:
    """Cameras of the six views; angles in degrees, `radius` in world units, `background` in [0, 1]."""

    size: int
    rows: int
    columns: int
    azimuths: tuple[float, ...]
    elevations: tuple[float, ...]
    fov: float
    radius: float
    background: float


@dataclass(frozen=True)
class Grid:
    """The final field: `resolution` cells along a cube `extent` wide, centred on the origin."""

    resolution: int
    extent: float


@dataclass(frozen=True)
class Finish:
    """What a finished mesh has unless the caller asks otherwise: most triangles, and pixels along the texture's side."""

    faces: int
    texture: int


@dataclass(frozen=True)
class Manifest:
    """Everything in `pack.json`."""

    name: str
    version: str
    recipe: str
    license: License
    sources: tuple[Mapping[str, Any], ...]
    exporter: str
    files: Mapping[str, FileEntry]
    components: Mapping[str, Component]
    text: Text
    prior_text: Text | None
    prior: Diffusion
    refiner: Diffusion
    coarse: Coarse
    views: Views
    reconstructor_view_size: int
    grid: Grid
    finish: Finish
    texture_from: str
    metres_per_unit: float


def parse_manifest(data: bytes) -> Manifest:
    """Read the bytes of a `pack.json`; PackFormat if anything in it is not as this version knows it."""
    try:
        document = json.loads(data.decode("utf-8"))
    except ValueError as error:
        raise PackFormat("pack.json is not JSON", received=str(error)) from error
    root = Entry("pack.json", document)
    version = root.int("format", low=1)
    if version != FORMAT:
        raise PackFormat("pack.json has a format version that this release does not read", received=str(version),
                         expected=str(FORMAT), remedy="install a newer meshwright")
    manifest = _manifest(root)
    _check_references(manifest)
    return manifest


def _manifest(root: Entry) -> Manifest:
    return Manifest(
        name=root.str("name"), version=root.str("version"), recipe=root.str("recipe", RECIPES),
        license=_license(root["license"]), sources=tuple(entry.dict() for entry in root["sources"].list()),
        exporter=root.str("exporter"), files={name: _file(name, entry) for name, entry in root["files"].items()},
        components={name: _component(name, entry) for name, entry in root["components"].items()},
        text=_text(root["text"]), prior_text=_text(root["prior_text"]) if "prior_text" in root else None,
        prior=_diffusion(root["prior"]), refiner=_diffusion(root["refiner"]),
        coarse=_coarse(root["coarse"]), views=_views(root["views"]),
        reconstructor_view_size=root["reconstructor"].int("view_size", low=1),
        grid=Grid(root["grid"].int("resolution", low=2), root["grid"].float("extent")),
        finish=_finish(root.get("finish", {})), texture_from=root.str("texture_from", TEXTURE_SOURCES),
        metres_per_unit=root.get("metres_per_unit", 1.0).number())


def _license(entry: Entry) -> License:
    notes = tuple(str(note.value) for note in entry.get("notes", []).list())
    return License(entry.str("id"), entry.str("commercial_use", ("yes", "no", "unknown")), notes)


def _file(name: str, entry: Entry) -> FileEntry:
    """A name that could leave the folder is refused before anything is opened."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or name != str(path) or not path.parts:
        raise PackFormat("pack.json names a file outside the pack", received=repr(name),
                         expected="a relative path inside the folder")
    digest = entry.str("sha256")
    if not HASH.match(digest):
        raise PackFormat(f"{entry.where}: sha256 is not a hash", received=digest)
    return FileEntry(digest, entry.int("bytes"))


def _component(name: str, entry: Entry) -> Component:
    error = {key: value.number() for key, value in entry.get("error", {}).items()}
    spec = EngineSpec(_tensors(entry["inputs"]), _tensors(entry["outputs"]))
    return Component(name, entry.str("kind"), entry.str("file"), entry.str("precision", ("fp32", "fp16")), spec,
                     entry.float("tolerance"), error, entry.int("parameters"))


def _tensors(entry: Entry) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(tensor.str("name"), tensor.str("dtype"), tuple(_axis(a) for a in tensor["shape"].list()))
                 for tensor in entry.list())


def _axis(entry: Entry) -> int | str:
    if isinstance(entry.value, bool) or not isinstance(entry.value, int | str):
        raise PackFormat(f"{entry.where} is not an axis", received=repr(entry.value), expected="a length or a name")
    return entry.value


def _text(entry: Entry) -> Text:
    return Text(entry.int("length", low=3), entry.str("tokenizer"))


def _diffusion(entry: Entry) -> Diffusion:
    shape = tuple(int(axis) for axis in entry.numbers("latent_shape"))
    return Diffusion(shape, entry["schedule"].dict(), entry.int("steps", low=1), entry.float("guidance"),
                     entry.str("unconditional", ("empty", "zeros")))


def _coarse(entry: Entry) -> Coarse:
    rotation = tuple(tuple(cell.number() for cell in row.list()) for row in entry["rotation"].list())
    if [len(row) for row in rotation] != [3, 3, 3]:
        raise PackFormat(f"{entry.where}: rotation is not a 3 by 3 matrix")
    return Coarse(entry.int("resolution", low=2), entry.float("bound"), rotation, entry.float("scale"))


def _views(entry: Entry) -> Views:
    views = Views(entry.int("size", low=8), entry.int("rows", low=1), entry.int("columns", low=1),
                  entry.numbers("azimuths"), entry.numbers("elevations"), entry.float("fov"),
                  entry.float("radius"), entry.float("background"))
    if not len(views.azimuths) == len(views.elevations) == views.rows * views.columns:
        raise PackFormat(f"{entry.where}: the number of angles is not rows times columns",
                         received=f"{len(views.azimuths)} azimuths, {len(views.elevations)} elevations",
                         expected=str(views.rows * views.columns))
    return views


def _finish(entry: Entry) -> Finish:
    return Finish(entry.int("faces", low=4) if "faces" in entry else 10_000,
                  entry.int("texture", low=64) if "texture" in entry else 1024)


def _check_references(manifest: Manifest) -> None:
    """Every file that an entry names must be listed with its hash."""
    tokenizers = [text.tokenizer for text in (manifest.text, manifest.prior_text) if text]
    for name in [*tokenizers, "golden.npz", *(c.file for c in manifest.components.values())]:
        if name not in manifest.files:
            raise PackFormat("pack.json lists no hash for a file that it uses", received=repr(name))
