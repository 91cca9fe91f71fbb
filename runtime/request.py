"""What a caller can ask for: one frozen dataclass with every option's default, range and effect."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Unpack

import numpy as np

from ..engines.errors import InputError
from .diffusion.schedules import SAMPLER_NAMES
from .files.reader import MeshFile, check_mesh
from .geometry.mesh import Mesh
from .images import MATTES
from .images.pictures import Picture
from .pack.manifest import MAX_FACES, MAX_GUIDANCE, MAX_STEPS, QUALITIES, TEXTURE_SOURCES, TEXTURES
from .request_options import RequestOptions, check_count, load_options, pairs_of
from .saved_run import SavedRun
from .text.prompt import check_prompt

RECIPES = ("sharp-it", "instantmesh", "one-2-3-45", "dmv3d")
ROUTES = ("views", "voxels", "coarse")  # of pictures
MESH_ROUTES = ("refine", "texture")
MAX_CONTROL = 10.0
MAX_DEEP_CACHE = 100
LARGEST_RATIO = 1e6  # of noise over signal
# Options that are words, and what they may be.
WORDS = {"texture_from": TEXTURE_SOURCES, "route": ROUTES + MESH_ROUTES, "sampler": SAMPLER_NAMES, "prior_sampler": SAMPLER_NAMES,
         "quality": QUALITIES, "recipe": RECIPES}
# What a saved run cannot be given again.
OF_THE_SHAPE = ("seed", "geometry_seed", "prior_steps", "prior_guidance", "prior_sampler", "prior_guidance_interval", "image", "views",
                "matte", "matte_picture", "recipe", "route", "mesh", "control", "control_scale")
LOAD = "Request.load and the methods of Pipeline take paths too"


@dataclass(frozen=True)
class Request:
    """One object to make; checked when it is made (InputError names the option, what came, what may come).

    Pictures and meshes are held as they were read: `Request.load` takes their files.

    prompt : what to make, in words. Cut, with a notice, to the length that the pack's text encoder reads. May be
        empty where a picture says it; some packs read no prompt at all.
    seed : 0 to 2**64 - 1. Same seed, pack and backend: the same bytes, but for timings.
    geometry_seed, texture_seed : the same, for the shape and for the look alone; None for `seed`. Where they differ, the views are drawn
        anew from the finished shape, for its texture.
    steps : 1 to 1000, None for the pack's own. Steps of the loop that draws the views: more are slower, not always better.
    guidance : 0 to 100, None for the pack's own. How strongly those views follow the prompt, or the picture; 1 is no guidance.
    sampler : "ddim", "euler-ancestral", "dpm-solver++-2m", "heun-karras", or "align-your-steps", which is DPM-Solver++ at ten timesteps;
        None for the pack's own. Of that loop. Which steps suffice with which sampler differs from pack to pack.
    guidance_interval : two numbers from 0, the lower one first; None for the pack's own. Noise over signal at which there is guidance:
        the steps outside take about half the time.
    prior_steps, prior_guidance, prior_sampler, prior_guidance_interval : the same four for the loop that draws the coarse shape.
    quality : "draft", "standard" or "full", None for that: what the pack has for these options and the texture's size, where they are
        not given. "full" is as it was made, or published.
    deep_cache : 1 to 100, None for 1. In how many steps of the loop that draws the views its network computes all of its layers once, and
        else the outermost alone (DeepCache): faster, and another result. For packs that were exported for it.
    faces : 4 to 1,000,000, None for the pack's own. The mesh is decimated to at most that many triangles before
        it is unwrapped.
    texture : a power of two from 64 to 8192, None for the pack's own. Sides of the baseColor texture, in pixels.
    texture_from : "views" projects the refined views, "field" asks the reconstructed colour field, "blend"
        fills with the field what no view sees; None for the pack's own.
    textured : False ends with the shape: the mesh has vertex colours of the reconstructed field, and neither uvs nor a texture.
    image : what to make, as a picture, for packs that take one. On the route "views" the mesh's front is what it shows; on
        "coarse" the shape has a front of its own.
    views : further pictures of the same object, each with its azimuth in degrees, at most six pictures in all. Azimuths grow as
        the camera moves to the right around the object, and count from `image`, or, where there is none, from the first of
        these, which then takes its place; kept with azimuths from 0 to 360.
    matte : how the object is told from its background: "auto" by the picture's alpha if that is a real matte, else by a
        network; "alpha" by its alpha; "none" takes the picture as it is.
    matte_picture : the matte of `image`, white (or opaque) where the object is, in place of all that; `matte` is "auto" then.
    recipe : "sharp-it", "instantmesh", "one-2-3-45" or "dmv3d", of those that the pack has; None for the one that fits what is given.
    route : how a picture becomes a mesh: "views" draws its six views and rebuilds them, "voxels" draws the object's voxels from such views,
        and "coarse" draws a coarse shape first, and can follow a prompt too; None for "coarse" with a prompt and else for the first of
        these that the pack has. Or what becomes of `mesh`.
    mesh : a mesh to be redrawn as the prompt says, in world axes and within a sphere of radius 1 or so. The result gets the place
        and the size that it had in its file. On the route "refine", which is that of None, it is a new mesh; on "texture" it is the same
        one with a new texture, and a picture, `image`, may take the prompt's place: it shows the mesh as the pack's first view does.
    control : a picture over the whole grid of views, such as their depths, for packs with a ControlNet.
    control_scale : 0 to 10, None for 1. How strongly the views follow `control`.
    run : a saved run to be continued: its shape stays. Options that are not given are those of the run; a prompt or a texture_seed other
        than its own draws the views of the shape anew, for another look. What made the shape cannot be given again.
    """

    prompt: str = ""
    seed: int = 0
    geometry_seed: int | None = None
    texture_seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    prior_steps: int | None = None
    prior_guidance: float | None = None
    sampler: str | None = None
    prior_sampler: str | None = None
    guidance_interval: tuple[float, float] | None = None
    prior_guidance_interval: tuple[float, float] | None = None
    quality: str | None = None
    deep_cache: int | None = None
    faces: int | None = None
    texture: int | None = None
    texture_from: str | None = None
    textured: bool = True
    image: Picture | None = None
    views: tuple[tuple[float, Picture], ...] = ()
    matte: str = "auto"
    matte_picture: Picture | None = None
    recipe: str | None = None
    route: str | None = None
    mesh: MeshFile | None = None
    control: Picture | None = None
    control_scale: float | None = None
    run: SavedRun | None = None

    @classmethod
    def load(cls, prompt: str = "", **options: Unpack[RequestOptions]) -> Request:
        """A request from what a caller has: files are read at once.

        Options are the fields, but a path may stand for each picture (`read_picture`), for the matte, for the mesh (GLB, glTF or
        OBJ, `read_mesh`) and for the run (its folder, `read_run`), a `Picture` for the matte, a `Mesh` for the mesh, and {azimuth: picture}
        for the views.
        Errors: InputError for an option that there is not or that is out of range, and for a file that cannot be read.
        """
        return cls(prompt, **load_options(options))

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files that were read for it: pictures, a mesh with its materials and pictures, a run."""
        pictures = [self.image, *(picture for _, picture in self.views), self.matte_picture, self.control]
        read = [picture.source for picture in pictures if picture is not None and picture.source is not None]
        return (*read, *(() if self.mesh is None else self.mesh.sources), *(() if self.run is None else self.run.sources))

    @property
    def shape_seed(self) -> int:
        """The seed of all that decides the shape."""
        return self.seed if self.geometry_seed is None else self.geometry_seed

    @property
    def look_seed(self) -> int:
        """The seed of the views that the texture is made from."""
        return self.seed if self.texture_seed is None else self.texture_seed

    @property
    def keeps_views(self) -> bool:
        """Whether pictures stand for views that are not drawn: those beside the first one, or the one of a mesh."""
        return bool(self.views) or self.mesh is not None and self.image is not None

    def __post_init__(self) -> None:
        self._normalize_numbers()
        for name, known in WORDS.items():
            if (word := getattr(self, name)) is not None and word not in known:
                subject = f"the {name}" if name in ("recipe", "route", "sampler", "quality") else name
                raise InputError(f"{subject} is unknown", received=repr(word), expected=", ".join(known))
        for name in ("image", "control", "matte_picture"):
            if getattr(self, name) is not None:
                _check_picture(name, getattr(self, name))
        self._check_matte()
        self._check_mesh()
        self._normalize_views()
        self._check_prompt()
        self._check_source()
        self._check_texture()
        if self.run is not None:
            self._check_run()

    def _replace(self, **values: object) -> None:
        """Replace what was given by what is kept."""
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _normalize_numbers(self) -> None:
        """Every number in its range, and one of Python's own: a result says them in JSON."""
        self._replace(seed=_integer("seed", self.seed, 0, 2**64 - 1))
        for name in ("geometry_seed", "texture_seed"):
            if getattr(self, name) is not None:
                self._replace(**{name: _integer(name, getattr(self, name), 0, 2**64 - 1)})
        for name, minimum, maximum in (("steps", 1, MAX_STEPS), ("prior_steps", 1, MAX_STEPS), ("faces", 4, MAX_FACES),
                                       ("deep_cache", 1, MAX_DEEP_CACHE)):
            if getattr(self, name) is not None:
                self._replace(**{name: _integer(name, getattr(self, name), minimum, maximum)})
        for name, high in (("guidance", MAX_GUIDANCE), ("prior_guidance", MAX_GUIDANCE), ("control_scale", MAX_CONTROL)):
            if getattr(self, name) is not None:
                self._replace(**{name: _number(name, getattr(self, name), 0.0, high)})
        for name in ("guidance_interval", "prior_guidance_interval"):
            if getattr(self, name) is not None:
                self._replace(**{name: _interval(name, getattr(self, name))})
        if self.texture is not None:
            if not isinstance(self.texture, Integral) or self.texture not in TEXTURES:
                raise InputError("texture is out of range", received=repr(self.texture), expected="a power of two from 64 to 8192")
            self._replace(texture=int(self.texture))

    def _normalize_views(self) -> None:
        """The first picture is `image`; the others are `views`, with azimuths from it."""
        given = pairs_of(self.views)
        check_count(given, self.image)
        pairs = [_view(azimuth, picture) for azimuth, picture in given]
        if self.image is None and pairs:
            first, image = pairs.pop(0)
            self._replace(image=image)
            pairs = [(azimuth - first, picture) for azimuth, picture in pairs]
        # Twice, because a little less than zero becomes 360 by rounding.
        turned = tuple((azimuth % 360.0 % 360.0, picture) for azimuth, picture in pairs)
        seen = [0.0, *(azimuth for azimuth, _ in turned)]
        twice = next((azimuth for azimuth in seen if seen.count(azimuth) > 1), None)
        if twice is not None:
            raise InputError("two pictures have the same azimuth", received=f"{twice:g} degrees from the first picture, twice",
                             expected="one picture for each azimuth")
        self._replace(views=turned)

    def _check_matte(self) -> None:
        if not isinstance(self.matte, str) or self.matte not in MATTES:
            raise InputError("unknown matte", received=repr(self.matte), expected=", ".join(MATTES), remedy=LOAD)
        if self.matte_picture is not None and self.matte != "auto":
            raise InputError("two mattes are given", received=f"a picture, and {self.matte!r}", expected="one of them")

    def _check_mesh(self) -> None:
        mesh: object = self.mesh
        if mesh is None:
            return
        if not isinstance(mesh, MeshFile):
            raise InputError("mesh is not a mesh", received=type(mesh).__name__, expected="a MeshFile, as read_mesh returns",
                             remedy=LOAD)
        check_mesh(mesh.mesh)

    def _check_prompt(self) -> None:
        if self.mesh is not None and not self.prompt and (self.image is None or self.route != "texture"):
            raise InputError("the prompt is empty", remedy='describe how the mesh should look, such as "a blue chair"')
        if self.image is None and not self.prompt and self.run is None:
            raise InputError("the prompt is empty", remedy='describe what to make, such as "a red chair", or give a picture')
        if self.prompt != "":
            check_prompt(self.prompt)

    def _check_source(self) -> None:
        """What the mesh is made from must be one thing."""
        if self.matte_picture is not None and self.views:
            raise InputError("one matte cannot be used for several pictures", remedy="give pictures with alpha")
        if self.mesh is None and self.route in MESH_ROUTES:
            raise InputError(f"the route {self.route} needs a mesh", remedy="give one, or leave it out")
        if self.image is None and (self.route in ROUTES or self.matte != "auto" or self.matte_picture is not None):
            raise InputError("route and matte need a picture", remedy="give one, or leave them out")
        if self.mesh is not None and self.route == "texture":
            self._check_texturing()
        elif self.mesh is not None and self.image is not None:
            raise InputError("a mesh is refined from its own views", received="a picture beside it", expected="a prompt alone")
        if self.control_scale is not None and self.control is None:
            raise InputError("control_scale is given without a control picture", remedy="give one, or leave it out")

    def _check_texturing(self) -> None:
        for name, value in (("faces", self.faces), ("texture_from", self.texture_from), ("geometry_seed", self.geometry_seed),
                            ("textured", None if self.textured else False)):
            if value is not None:
                raise InputError(f"a mesh that gets a texture stays as it is, and {name} has no effect", received=repr(value),
                                 remedy="leave it out")
        if self.views:
            raise InputError("a mesh takes one picture of its look", received=f"{len(self.views) + 1} pictures", expected="one")

    def _check_texture(self) -> None:
        if not isinstance(self.textured, bool):
            raise InputError("textured is not a yes or a no", received=repr(self.textured), expected="True or False")
        if not self.textured:
            _check_without("a mesh without a texture is asked for", self, ("texture", "texture_from", "texture_seed"))

    def _check_run(self) -> None:
        if not isinstance(self.run, SavedRun):
            raise InputError("run is not a saved run", received=type(self.run).__name__, expected="a SavedRun, as read_run returns",
                             remedy=LOAD)
        _check_without("a saved run has its shape", self, OF_THE_SHAPE, "leave it out; texture_seed and a prompt change the look")


def _check_without(why: str, request: Request, names: tuple[str, ...], remedy: str = "leave it out") -> None:
    """InputError for one of the options that is not as it is where nobody gives it."""
    for name in names:
        if (value := getattr(request, name)) != getattr(Request, name):
            received = repr(value) if isinstance(value, int | float | str) else type(value).__name__
            raise InputError(f"{why}, and {name} has no effect", received=received, remedy=remedy)


def _view(azimuth: object, picture: object) -> tuple[float, Picture]:
    degrees = _number("the azimuth of a view", azimuth, -360.0, 360.0)
    if picture is None:
        raise InputError(f"the view at {degrees:g} has no picture")
    return degrees, _check_picture(f"the view at {degrees:g}", picture)


def _check_picture(name: str, value: object) -> Picture:
    if not isinstance(value, Picture):
        raise InputError(f"{name} is not a picture", received=type(value).__name__, expected="a Picture from read_picture or Picture.of",
                         remedy=LOAD)
    return value


def _interval(name: str, value: object) -> tuple[float, float]:
    ends = [_number(name, end, 0.0, LARGEST_RATIO) for end in value] if isinstance(value, list | tuple) else []
    if len(ends) != 2 or not ends[0] < ends[1]:
        raise InputError(f"{name} is not an interval", received=repr(value), expected="two numbers, the lower one first")
    return ends[0], ends[1]


def _integer(name: str, value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or not low <= int(value) <= high:
        raise InputError(f"{name} is out of range", received=repr(value), expected=f"an integer, {low} to {high}")
    return int(value)


def _number(name: str, value: object, low: float, high: float) -> float:
    try:
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    # NaN fails every comparison, so it is refused here as well.
    if not low <= number <= high:
        raise InputError(f"{name} is out of range", received=repr(value), expected=f"a number, {low:g} to {high:g}")
    return number


def describe_inputs(request: Request) -> dict[str, object]:
    """The pictures and the mesh of a request by their hashes: plain JSON, empty for a prompt alone."""
    found: dict[str, object] = {name: _picture(picture) for name in ("image", "control") if (picture := getattr(request, name))}
    if request.image is not None:
        found["matte"] = request.matte if request.matte_picture is None else _picture(request.matte_picture)
    if request.views:
        found["views"] = [{"azimuth": azimuth, **_picture(picture)} for azimuth, picture in request.views]
    if request.mesh is not None:
        mesh, placement = request.mesh.mesh, request.mesh.placement
        found["refined_from"] = {"sha256": mesh_hash(mesh), "vertices": len(mesh.vertices), "faces": len(mesh.faces),
                                 **({} if placement is None else {"placement": placement.describe()})}
    return found


def mesh_hash(mesh: Mesh) -> str:
    """Hexadecimal SHA-256 of what a mesh looks like: its arrays, with their names and shapes."""
    digest = hashlib.sha256()
    for name in ("vertices", "faces", "uvs", "texture", "colors"):
        values = getattr(mesh, name)
        if values is not None:
            digest.update(f"{name} {values.dtype} {values.shape}".encode())
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _picture(picture: Picture) -> dict[str, object]:
    return {"sha256": picture.sha256, "width": picture.width, "height": picture.height}
