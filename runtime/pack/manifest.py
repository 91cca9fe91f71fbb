"""What `pack.json` says, as frozen dataclasses on one screen, and how large its numbers may be; `reader` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ...engines import EngineSpec
from ...engines.errors import PackError
from ..geometry.shading import Shading

MAX_STEPS, MAX_TRAIN_STEPS = 1000, 10_000
MAX_GUIDANCE = 100.0
MAX_FACES = 1_000_000
TEXTURES = (64, 128, 256, 512, 1024, 2048, 4096, 8192)
MAX_TOKENS = 4096
MAX_VIEW, MAX_VIEWS = 4096, 64  # pixels along a view, and how many of them
RESOLUTION, STRIDE = (2, 512), (1, 64)
LENGTH = (1e-4, 1e4)  # in world units, or a factor between units
ANGLE, MAX_ELEVATION, FOV = (-360.0, 360.0), 89.9, (1.0, 170.0)  # degrees; straight down, a camera has no up
MAX_RANK = 8
MAX_LATENTS = 1 << 24  # values of one set of latents
MAX_TENSORS, MAX_TENSOR = 256, 1 << 31  # inputs or outputs of a model, and values of one
MAX_COMPONENTS, MAX_NOTES = 64, 256
MAX_VOXELS, MAX_VOXEL_LEVELS = 1 << 18, 6  # of the occupied ones in a bucket, and levels of the network over them
DTYPES = ("float32", "float16", "float64", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
Section = TypeVar("Section")

# The open axis of a step model: both halves of guidance, the unconditional one first, or the conditional one alone. Models of older
# exporters take both at every step.
HALVES = "halves"

COMMERCIAL_USE = ("yes", "no", "unknown")
TEXTURE_SOURCES = ("views", "field", "blend")
# "full" is what the pack does by itself; what the others stand for is the pack's to say.
FULL = "full"
QUALITIES = ("draft", "standard", FULL)


@dataclass(frozen=True)
class License:
    """Of the weights. commercial_use : "yes", "no" or "unknown"."""

    id: str
    commercial_use: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """Something that the weights were made from, with its own licence; commercial_use as in `License`, None if not stated."""

    name: str
    license: str
    commercial_use: str | None

    def describe(self) -> dict[str, str]:
        """What is stated, as plain JSON."""
        stated = {} if self.commercial_use is None else {"commercial_use": self.commercial_use}
        return {"name": self.name, "license": self.license, **stated}


@dataclass(frozen=True)
class FileEntry:
    """One file of the pack but `pack.json` itself: lower-case hexadecimal SHA-256 and size."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Component:
    """One model file.

    precision : of the weights as stored, "fp32", "fp16" or "int8"; compute : of the arithmetic, "fp32" or "fp16"
    error : absolute and relative, as measured against PyTorch at export
    """

    name: str
    kind: str
    file: str
    precision: str
    compute: str
    spec: EngineSpec
    tolerance: float
    error: Mapping[str, float]
    parameters: int

    @property
    def exact(self) -> bool:
        """Whether its tolerance leaves no room for products of factors that a GPU has rounded to TF32: to 11 bits, which is 5e-4."""
        return self.tolerance < 5e-3

    def takes(self, tensor: str) -> bool:
        """Whether the model has an input of that name: some are there in some packs only."""
        return self.spec.input(tensor) is not None

    def shape(self, tensor: str) -> tuple[int, ...]:
        """The shape of an input without open axes but for the halves of guidance, which are then both there.

        PackError if there is no such input.
        """
        found = self.spec.input(tensor)
        shape = found.resolve({HALVES: 2}) if found else None
        if shape is None:
            raise PackError(f"component {self.name} lacks an input of a fixed shape", expected=tensor)
        return shape


@dataclass(frozen=True)
class Text:
    """length : tokens the text encoder takes, padding included. tokenizer : file name."""

    length: int
    tokenizer: str


@dataclass(frozen=True)
class Edit:
    """Steps and guidance where a prompt is to change the look of something given: against a coarse shape that says otherwise."""

    steps: int
    guidance: float


@dataclass(frozen=True)
class Diffusion:
    """One denoising loop.

    unconditional : where that half's states come from: "empty" (the empty prompt), "zeros" (no states at all) or
        "encoder" (the encoder gives both halves)
    unconditional_coarse : what that half of a refiner sees in place of the coarse views: the "same" latents,
        "zeros", or a "zero-image" (mid grey) as encoded
    unconditional_image : as `unconditional`, where a picture steers the prior: "empty" or "zeros". None in packs
        whose prior follows one thing alone, a prompt or a picture
    coarse_latents : of a refiner, "target" if the coarse views are encoded as the latents that it draws, else "raw"
    edit : of a refiner; None where `steps` and `guidance` serve for that too
    guidance_interval : the lowest and the highest noise over signal at which there is guidance (arXiv 2404.07724); None for all
    """

    latent_shape: tuple[int, ...]
    schedule: Mapping[str, Any]
    steps: int
    guidance: float
    unconditional: str
    unconditional_coarse: str = "same"
    unconditional_image: str | None = None
    coarse_latents: str = "target"
    edit: Edit | None = None
    guidance_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Resize:
    """To a square of `size` pixels; resample : "bicubic" or "bilinear", antialiased, on 8 bits."""

    size: int
    resample: str


@dataclass(frozen=True)
class PictureInput:
    """How a picture is prepared: laid on a grey `background` in [0, 1], padded to a square, resized.

    encoder : for the network that understands it; reference : for the one that keeps its details, if there is one
    ratio : how much of the square the longer side of the object takes
    """

    background: float
    encoder: Resize
    reference: Resize | None
    ratio: float = 0.85


@dataclass(frozen=True)
class Deviation:
    """How far the finished surface may deviate from the coarse one: at most `max_distance`, in the world's units.

    truncation : the distance, in Shap-E's units, that the coarse field's value of 1 or -1 stands for; it grows evenly up to there
    """

    truncation: float
    max_distance: float


@dataclass(frozen=True)
class Coarse:
    """The coarse field: `resolution` cells along a cube of half width `bound`, in Shap-E's axes.

    Vertices are multiplied by `shrink` before their colours are asked for. Into the world's axes:
    x_world = scale * rotation @ x. deviation : None where the finished surface may be anywhere
    """

    resolution: int
    bound: float
    rotation: tuple[tuple[float, ...], ...]
    scale: float
    shrink: float = 1.0
    deviation: Deviation | None = None


@dataclass(frozen=True)
class Views:
    """Cameras of the six views; angles in degrees, `radius` in world units, `background` in [0, 1].

    shading : of coarse views; None for the one that the previews have
    lit : whether the views that are drawn carry the light of the previews, which a texture made of them then leaves out
    """

    size: int
    rows: int
    columns: int
    azimuths: tuple[float, ...]
    elevations: tuple[float, ...]
    fov: float
    radius: float
    background: float
    shading: Shading | None = None
    lit: bool = True


@dataclass(frozen=True)
class Circle:
    """Cameras of the views that DMV3D denoises, the first one that of a picture. Angles in degrees, `radius` in world units."""

    azimuths: tuple[float, ...]
    elevations: tuple[float, ...]
    fov: float
    radius: float


@dataclass(frozen=True)
class Grid:
    """The final field: `resolution` cells along a cube `extent` wide, centred on the origin.

    density_threshold : where the surface of a density field lies; None for a field of signed distances
    stride : cells between the points that are asked first, a power of two; at 1 every point is asked, so that
        no part of a field that is not quite a distance is missed
    """

    resolution: int
    extent: float
    density_threshold: float | None = None
    stride: int = 4


@dataclass(frozen=True)
class VoxelGrid:
    """The grids of One-2-3-45++: `resolution` voxels along a cube `extent` wide, and twice as many inside those that are occupied.

    levels : of the sparse network; buckets : how many occupied voxels its tables hold, ascending
    truncation : the distance, in the world's units, that a value of 1 or -1 stands for
    """

    resolution: int
    extent: float
    levels: int
    buckets: tuple[int, ...]
    truncation: float


@dataclass(frozen=True)
class Finish:
    """What a finished mesh has unless the caller asks otherwise: most triangles, and pixels along the texture's side.

    denoise : `width` of `geometry.denoise`, before the triangles become fewer; None leaves the surface as it was extracted
    """

    faces: int
    texture: int
    denoise: float | None = None


@dataclass(frozen=True)
class LoopQuality:
    """Of one loop; None leaves the pack's own. sampler : as a request's; guidance_interval : as in `Diffusion`"""

    steps: int | None = None
    sampler: str | None = None
    guidance_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Quality:
    """What a word such as "draft" stands for. views, prior : of the loops that draw the views and the coarse shape

    texture : pixels along its side, None for the pack's own
    """

    views: LoopQuality = LoopQuality()
    prior: LoopQuality = LoopQuality()
    texture: int | None = None


@dataclass(frozen=True)
class Manifest:
    """Everything in `pack.json`; None stands for a section that the recipes of the pack do not need.

    recipe : the one that the pack was made for; recipes : all that its components serve, that one among them
    sizes : what things that the pack makes usually measure, by their names in lower case: "height", "width" or "depth", and metres
    """

    name: str
    version: str
    recipe: str
    recipes: tuple[str, ...]
    license: License
    sources: tuple[Source, ...]
    exporter: str
    files: Mapping[str, FileEntry]
    components: Mapping[str, Component]
    text: Text | None
    prior_text: Text | None
    picture: PictureInput | None
    prior: Diffusion | None
    refiner: Diffusion | None
    multiview: Diffusion | None
    occupancy: Diffusion | None
    sparse: Diffusion | None
    voxels: VoxelGrid | None
    posed_views: Diffusion | None
    circle: Circle | None
    coarse: Coarse | None
    views: Views
    reconstructor_view_size: int
    grid: Grid
    finish: Finish
    quality: Mapping[str, Quality]
    texture_from: str
    metres_per_unit: float
    sizes: Mapping[str, tuple[str, float]]

    def find(self, kind: str) -> Component | None:
        """The component of that kind, if the pack has one."""
        return next((c for c in self.components.values() if c.kind == kind), None)

    def size(self, component: Component) -> int:
        """Bytes of a component's files, weights beside the model file included."""
        names = (component.file, f"{component.file}.data")
        return sum(self.files[name].bytes for name in names if name in self.files)


def required(section: Section | None) -> Section:
    """A section that this recipe has: `pack.json` is refused without those of its recipes, and a request by its route."""
    if section is None:
        raise PackError("the recipe lacks a section of pack.json")
    return section


def shallow_kind(kind: str) -> str:
    """The component that takes the deep features of the step model of that kind: "refiner_shallow_step"."""
    return kind.replace("_step", "_shallow_step")
