"""Reads `pack.json` and believes nothing.

A wrong type, a missing entry, a number that nothing can serve, a path that leaves the folder or an unknown format version is a
PackFormat error that names the entry.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import PurePosixPath

import numpy as np

from ...engines import EngineSpec, TensorSpec
from ...engines.errors import PackFormat
from ..geometry.shading import Shading
from .entry import Entry
from .loops import read_loop, read_quality, read_texture, read_voxels
from .manifest import (
    ANGLE,
    COMMERCIAL_USE,
    DTYPES,
    FOV,
    LENGTH,
    MAX_COMPONENTS,
    MAX_ELEVATION,
    MAX_FACES,
    MAX_NOTES,
    MAX_RANK,
    MAX_TENSOR,
    MAX_TENSORS,
    MAX_TOKENS,
    MAX_VIEW,
    MAX_VIEWS,
    RESOLUTION,
    STRIDE,
    TEXTURE_SOURCES,
    Circle,
    Coarse,
    Component,
    Deviation,
    FileEntry,
    Finish,
    Grid,
    License,
    Manifest,
    PictureInput,
    Resize,
    Section,
    Source,
    Text,
    Views,
)

FORMAT = 1
DIMENSIONS = ("height", "width", "depth")
# The sections that each recipe cannot do without.
SECTIONS = {"sharp-it": ("text", "prior", "refiner", "coarse"), "instantmesh": ("picture", "multiview"),
            "one-2-3-45": ("picture", "multiview", "occupancy", "sparse", "voxels"),
            "dmv3d": ("text", "posed_views", "circle")}
RESAMPLE = ("bicubic", "bilinear")
COMPUTED = ("fp32", "fp16")
PRECISIONS = (*COMPUTED, "int8")
HASH = re.compile(r"[0-9a-f]{64}\Z")


def parse_manifest(data: bytes) -> Manifest:
    """Read the bytes of a `pack.json`; PackFormat if anything in it is not as this version knows it."""
    try:
        document = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise PackFormat("pack.json is not JSON", received=str(error)) from error
    try:
        return _checked(Entry("pack.json", document))
    except RecursionError as error:  # a message that shows a value of hundreds of lists in each other
        raise PackFormat("pack.json is nested too deeply") from error


def _checked(root: Entry) -> Manifest:
    version = root.int("format", low=1)
    if version != FORMAT:
        raise PackFormat("pack.json has a format version that this release does not read", received=str(version),
                         expected=str(FORMAT), remedy="install a newer meshwright")
    for recipe in _recipes(root):
        for section in SECTIONS[recipe]:
            root[section].dict()
    manifest = _manifest(root)
    _check_files(manifest)
    _check_halves(manifest)
    _check_circle(manifest)
    return manifest


def _manifest(root: Entry) -> Manifest:
    return Manifest(
        name=_name(root, "name"), version=root.str("version"), recipe=root.str("recipe"), recipes=_recipes(root),
        license=_license(root["license"]), sources=tuple(_source(entry) for entry in root["sources"].list()),
        exporter=root.str("exporter"), files={name: _file(name, entry) for name, entry in root["files"].items()},
        components=_components(root["components"]),
        text=_if_there(root, "text", _text), prior_text=_if_there(root, "prior_text", _text), picture=_if_there(root, "picture", _picture),
        prior=_if_there(root, "prior", read_loop), refiner=_if_there(root, "refiner", read_loop),
        multiview=_if_there(root, "multiview", read_loop), occupancy=_if_there(root, "occupancy", read_loop),
        sparse=_if_there(root, "sparse", read_loop), voxels=_if_there(root, "voxels", read_voxels),
        posed_views=_if_there(root, "posed_views", read_loop), circle=_if_there(root, "circle", _circle),
        coarse=_if_there(root, "coarse", _coarse), views=_views(root["views"], generated_lit="choices" not in root),
        reconstructor_view_size=root["reconstructor"].int("view_size", 1, MAX_VIEW),
        grid=_grid(root["grid"]), finish=_finish(root.get("finish", {})),
        quality={name: read_quality(entry) for name, entry in root.get("quality", {}).items()},
        texture_from=root.str("texture_from", TEXTURE_SOURCES), metres_per_unit=root.get("metres_per_unit", 1.0).number(*LENGTH),
        sizes={name: _size(entry) for name, entry in root.get("sizes", {}).items()})


def _recipes(root: Entry) -> tuple[str, ...]:
    """All of the pack's, the one that it was made for first. Those of older packs, which name that alone, are told by their sections."""
    own = root.str("recipe", tuple(SECTIONS))
    if "recipes" not in root:
        return tuple(dict.fromkeys([own, *(name for name, sections in SECTIONS.items() if all(part in root for part in sections))]))
    named = [entry.text() for entry in root["recipes"].list(len(SECTIONS))]
    unknown = [name for name in named if name not in SECTIONS]
    if unknown:
        raise PackFormat("pack.json names a recipe that this release does not know", received=unknown[0], expected=", ".join(SECTIONS),
                         remedy="install a newer meshwright")
    return tuple(dict.fromkeys([own, *named]))


def _if_there(root: Entry, name: str, read: Callable[[Entry], Section]) -> Section | None:
    return read(root[name]) if name in root else None


def _name(entry: Entry, key: str) -> str:
    """What has a name is called by it, on a command line too."""
    name = entry.str(key)
    if not name.strip() or len(name) > 200:
        raise PackFormat(f"{entry.where}: {key} is not a valid name", received=repr(name[:80]), expected="1 to 200 characters")
    return name


def _license(entry: Entry) -> License:
    notes = tuple(note.text() for note in entry.get("notes", []).list(MAX_NOTES))
    return License(entry.str("id"), entry.str("commercial_use", COMMERCIAL_USE), notes)


def _source(entry: Entry) -> Source:
    use = entry.str("commercial_use", COMMERCIAL_USE) if "commercial_use" in entry else None
    return Source(entry.str("name"), entry.str("license") if "license" in entry else "unknown", use)


def _file(name: str, entry: Entry) -> FileEntry:
    """A name that could leave the folder is refused before anything is opened."""
    path = PurePosixPath(name)
    outside = path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or name != str(path) or not path.parts
    if outside or len(name) > 1000 or len(path.parts) > 8:
        raise PackFormat("pack.json names a file outside the pack", received=repr(name),
                         expected="a relative path inside the folder")
    digest = entry.str("sha256")
    if not HASH.match(digest):
        raise PackFormat(f"{entry.where}: sha256 is not a hash", received=digest)
    return FileEntry(digest, entry.int("bytes"))


def _components(entry: Entry) -> dict[str, Component]:
    if len(entry.dict()) > MAX_COMPONENTS:
        raise PackFormat(f"{entry.where} has too many entries", received=str(len(entry.value)), expected=f"at most {MAX_COMPONENTS}")
    return {name: _component(name, value) for name, value in entry.items()}


def _component(name: str, entry: Entry) -> Component:
    error = {key: value.number() for key, value in entry.get("error", {}).items()}
    spec = EngineSpec(_tensors(entry["inputs"]), _tensors(entry["outputs"]))
    compute = entry.str("compute", COMPUTED) if "compute" in entry else "fp32"
    return Component(name, _name(entry, "kind"), entry.str("file"), entry.str("precision", PRECISIONS), compute, spec,
                     entry.float("tolerance", 0.0, 10.0), error, entry.int("parameters"))


def _tensors(entry: Entry) -> tuple[TensorSpec, ...]:
    tensors = tuple(_tensor(tensor) for tensor in entry.list(MAX_TENSORS))
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise PackFormat(f"{entry.where} names a tensor twice")
    return tensors


def _tensor(entry: Entry) -> TensorSpec:
    shape = tuple(_axis(axis) for axis in entry["shape"].list(MAX_RANK))
    if math.prod(axis for axis in shape if isinstance(axis, int)) > MAX_TENSOR:
        raise PackFormat(f"{entry.where}: shape is out of range", received=str(shape), expected=f"at most {MAX_TENSOR} values")
    return TensorSpec(_name(entry, "name"), entry.str("dtype", DTYPES), shape)


def _axis(entry: Entry) -> int | str:
    if isinstance(entry.value, bool) or not isinstance(entry.value, int | str):
        raise PackFormat(f"{entry.where} is not an axis", received=type(entry.value).__name__, expected="a length or a name")
    return entry.text() if isinstance(entry.value, str) else entry.whole(1, MAX_TENSOR)


def _text(entry: Entry) -> Text:
    return Text(entry.int("length", 3, MAX_TOKENS), entry.str("tokenizer"))


def _picture(entry: Entry) -> PictureInput:
    ratio = _fraction(entry, "ratio") if "ratio" in entry else PictureInput.ratio
    if ratio < 0.1:
        raise PackFormat(f"{entry.where}: ratio is out of range", received=str(ratio), expected="0.1 to 1")
    return PictureInput(_fraction(entry, "background"), _resize(entry["encoder"]),
                        _resize(entry["reference"]) if "reference" in entry else None, ratio)


def _resize(entry: Entry) -> Resize:
    return Resize(entry.int("size", 1, MAX_VIEW), entry.str("resample", RESAMPLE))


def _fraction(entry: Entry, key: str) -> float:
    value = entry.float(key)
    if not 0 <= value <= 1:
        raise PackFormat(f"{entry.where}: {key} is out of range", received=str(value), expected="0 to 1")
    return value


def _coarse(entry: Entry) -> Coarse:
    rotation = tuple(tuple(cell.number(-2.0, 2.0) for cell in row.list(3)) for row in entry["rotation"].list(3))
    if [len(row) for row in rotation] != [3, 3, 3]:
        raise PackFormat(f"{entry.where}: rotation is not a 3 by 3 matrix")
    matrix = np.array(rotation, np.float64)
    if np.abs(matrix @ matrix.T - np.eye(3)).max() > 1e-3 or np.linalg.det(matrix) < 0:
        raise PackFormat(f"{entry.where}: rotation is not a rotation matrix", received=str(rotation),
                         expected="orthogonal rows, and no mirror")
    return Coarse(entry.int("resolution", *RESOLUTION), entry.float("bound", *LENGTH), rotation, entry.float("scale", *LENGTH),
                  entry.get("shrink", 1.0).number(0.1, 10.0), _deviation(entry["deviation"]) if "deviation" in entry else None)


def _deviation(entry: Entry) -> Deviation:
    return Deviation(entry.float("truncation", *LENGTH), entry.float("most", *LENGTH))


def _views(entry: Entry, generated_lit: bool) -> Views:
    """drawn_lit : for packs of older exporters, which do not say whether drawn views carry our light. Those of published
    checkpoints, whose networks draw light of their own, are told by the exporter's choices in them.
    """
    rows, columns = entry.int("rows", 1, MAX_VIEWS), entry.int("columns", 1, MAX_VIEWS)
    if rows * columns > MAX_VIEWS:
        raise PackFormat(f"{entry.where} are too many", received=f"{rows} by {columns}", expected=f"at most {MAX_VIEWS}")
    views = Views(entry.int("size", 8, MAX_VIEW), rows, columns, entry.numbers("azimuths", *ANGLE), entry.numbers("elevations", -90, 90),
                  entry.float("fov", *FOV), entry.float("radius", *LENGTH), _fraction(entry, "background"),
                  _shading(entry["shading"]) if "shading" in entry else None,
                  entry.bool("lit") if "lit" in entry else generated_lit)
    if not len(views.azimuths) == len(views.elevations) == views.rows * views.columns:
        raise PackFormat(f"{entry.where}: the number of angles is not rows times columns",
                         received=f"{len(views.azimuths)} azimuths, {len(views.elevations)} elevations",
                         expected=str(views.rows * views.columns))
    if max(map(abs, views.elevations)) > MAX_ELEVATION:
        raise PackFormat(f"{entry.where}: elevations are out of range", received=str(views.elevations),
                         expected=f"up to {MAX_ELEVATION}")
    return views


def _circle(entry: Entry) -> Circle:
    azimuths, elevations = entry.numbers("azimuths", *ANGLE), entry.numbers("elevations", -MAX_ELEVATION, MAX_ELEVATION)
    if not 1 <= len(azimuths) == len(elevations) <= MAX_VIEWS:
        raise PackFormat(f"{entry.where}: there is not one elevation for each azimuth",
                         received=f"{len(azimuths)} azimuths, {len(elevations)} elevations", expected=f"as many, at most {MAX_VIEWS}")
    return Circle(azimuths, elevations, entry.float("fov", *FOV), entry.float("radius", *LENGTH))


def _shading(entry: Entry) -> Shading:
    direction = entry.numbers("direction")
    length = math.hypot(*direction)
    if len(direction) != 3 or length < 1e-6:
        raise PackFormat(f"{entry.where}: direction is not a vector", received=str(direction), expected="three numbers, not all zero")
    return Shading(entry.float("ambient", 0.0, 10.0), entry.float("diffuse", 0.0, 10.0), tuple(axis / length for axis in direction),
                   entry.bool("two_sided"), entry.bool("linear"))


def _grid(entry: Entry) -> Grid:
    threshold = entry.float("density_threshold") if "density_threshold" in entry else None
    stride = entry.int("stride", *STRIDE) if "stride" in entry else Grid.stride
    if stride & (stride - 1):
        raise PackFormat(f"{entry.where}: stride is not a power of two", received=str(stride))
    return Grid(entry.int("resolution", *RESOLUTION), entry.float("extent", *LENGTH), threshold, stride)


def _finish(entry: Entry) -> Finish:
    texture = read_texture(entry) if "texture" in entry else 1024
    return Finish(entry.int("faces", 4, MAX_FACES) if "faces" in entry else 10_000, texture,
                  entry.float("denoise", 0.01, 2.0) if "denoise" in entry else None)


def _size(entry: Entry) -> tuple[str, float]:
    """{"height": metres}, or another one of the dimensions."""
    given = [name for name in DIMENSIONS if name in entry]
    if len(entry.dict()) != 1 or not given:
        raise PackFormat(f"{entry.where} is no size", received=", ".join(map(repr, entry.dict())),
                         expected=f"one of {', '.join(DIMENSIONS)}")
    return given[0], entry.float(given[0], *LENGTH)


def _check_files(manifest: Manifest) -> None:
    """Every file that an entry names must be listed with its hash."""
    tokenizers = [text.tokenizer for text in (manifest.text, manifest.prior_text) if text]
    for name in [*tokenizers, "golden.npz", *(c.file for c in manifest.components.values())]:
        if name not in manifest.files:
            raise PackFormat("pack.json lists no hash for a file that it uses", received=repr(name))


def _check_halves(manifest: Manifest) -> None:
    """What the unconditional halves are made of must be there."""
    prior = manifest.prior
    if manifest.find("prior_image_encoder") and prior and prior.unconditional != "zeros" and not prior.unconditional_image:
        raise PackFormat("the prior has no unconditional embedding for pictures", received=prior.unconditional,
                         expected="zeros, or unconditional_image beside it in a pack that takes prompts too")
    if prior and prior.unconditional_image and not manifest.find("prior_image_encoder"):
        raise PackFormat("there is no encoder for the prior's pictures", expected="prior_image_encoder")
    for loop, kind in ((manifest.prior, "prior_step"), (manifest.refiner, "refiner_step")):
        if loop and loop.unconditional == "encoder":
            raise PackFormat(f"the unconditional half of {kind} cannot come from its encoder", expected="empty or zeros")
    refiner, step = manifest.refiner, manifest.find("refiner_step")
    if refiner and step and refiner.unconditional_coarse != "same" and step.shape("coarse")[0] != 2:
        raise PackFormat("refiner_step takes one coarse latent for both halves", received=refiner.unconditional_coarse, expected="same")
    if manifest.find("views_step") and not manifest.multiview:
        raise PackFormat("pack.json has no loop for views_step", expected="multiview")
    if manifest.find("field_density") and manifest.grid.density_threshold is None:
        raise PackFormat("pack.json: grid lacks an entry", expected="density_threshold, which field_density needs")
    for kind, section in (("image_encoder", manifest.picture), ("prior_image_encoder", manifest.picture),
                          ("reference_encoder", manifest.picture and manifest.picture.reference)):
        if manifest.find(kind) and not section:
            raise PackFormat(f"pack.json does not say how the picture of {kind} is prepared", expected="picture")


def _check_circle(manifest: Manifest) -> None:
    """The views that are denoised together must be those of the circle."""
    if manifest.posed_views and manifest.circle:
        shape, count = manifest.posed_views.latent_shape, len(manifest.circle.azimuths)
        if len(shape) != 5 or shape[:3] != (1, count, 3) or shape[3] != shape[4]:
            raise PackFormat("pack.json: posed_views has another shape than the views of its circle", received=str(shape),
                             expected=f"1, {count}, 3, size, size")
