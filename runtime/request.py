"""What a caller can ask for: one frozen dataclass with every option's default, range and effect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real

from ..engines.errors import InputError
from .manifest import TEXTURE_SOURCES
from .matting import check_matte
from .meshes.mesh import Mesh
from .pictures import Picture
from .text import check_prompt

ROUTES = ("views", "coarse")
MOST_PICTURES = 6
MOST_STEPS = 1000
MOST_GUIDANCE = 100.0
MOST_CONTROL = 10.0
MOST_FACES = 1_000_000
TEXTURES = (64, 128, 256, 512, 1024, 2048, 4096, 8192)


@dataclass(frozen=True)
class Request:
    """One object to make; checked when it is made (InputError names the option, what came, what may come).

    prompt : what to make, in words. Cut, with a notice, to the length that the pack's text encoder reads. May be
        empty where a picture says it; some packs read no prompt at all.
    seed : 0 to 2**64 - 1. Same seed, pack and backend: the same bytes, but for timings.
    steps : 1 to 1000, None for the pack's own. Steps of the loop that draws the views: more are slower, not always better.
    guidance : 0 to 100, None for the pack's own. How strongly those views follow the prompt, or the picture; 1 is no guidance.
    prior_steps, prior_guidance : the same two for the loop that draws the coarse shape.
    faces : 4 to 1,000,000, None for the pack's own. The mesh is decimated to at most that many triangles before
        it is unwrapped.
    texture : a power of two from 64 to 8192, None for the pack's own. Sides of the baseColor texture, in pixels.
    texture_from : "views" projects the refined views, "field" asks the reconstructed colour field, "blend"
        fills with the field what no view sees; None for the pack's own.
    image : what to make, as a picture, for packs that take one. On the route "views" the mesh's front is what it shows; on
        "coarse" the shape has a front of its own.
    views : further pictures of the same object, each with its azimuth in degrees: a mapping, or pairs, at most six pictures
        in all. Azimuths grow as the camera moves to the right around the object, and count from `image`, or, where there is none,
        from the first of these, which then takes its place; kept as pairs (azimuth from 0 to 360, picture).
    matte : how the object is told from its background: "auto" by the picture's alpha if that is a real matte, else by a
        network; "alpha" by its alpha; "none" takes the picture as it is; or the matte of `image` as a picture.
    route : how a picture becomes a mesh: "views" draws its six views, "coarse" draws a coarse shape first, and can follow
        a prompt too; None for "coarse" with a prompt and else for the first of these that the pack has.
    mesh : a mesh to be redrawn as the prompt says, in world axes and within a sphere of radius 1 or so (`reader.read_mesh`).
    control : a picture over the whole grid of views, such as their depths, for packs with a ControlNet.
    control_scale : 0 to 10, None for 1. How strongly the views follow `control`.
    """

    prompt: str = ""
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None
    prior_steps: int | None = None
    prior_guidance: float | None = None
    faces: int | None = None
    texture: int | None = None
    texture_from: str | None = None
    image: Picture | None = None
    views: tuple[tuple[float, Picture], ...] = ()
    matte: str | Picture = "auto"
    route: str | None = None
    mesh: Mesh | None = None
    control: Picture | None = None
    control_scale: float | None = None

    def __post_init__(self) -> None:
        self._settle_pictures()
        if self.image is None and not self.prompt:
            raise InputError("the prompt is empty", remedy='say what to make, such as "a red chair", or give a picture')
        if self.prompt != "":
            check_prompt(self.prompt)
        _whole("seed", self.seed, 0, 2**64 - 1)
        for name in ("steps", "prior_steps"):
            if getattr(self, name) is not None:
                _whole(name, getattr(self, name), 1, MOST_STEPS)
        for name in ("guidance", "prior_guidance"):
            if getattr(self, name) is not None:
                _real(name, getattr(self, name), 0.0, MOST_GUIDANCE)
        if self.faces is not None:
            _whole("faces", self.faces, 4, MOST_FACES)
        if self.texture is not None and self.texture not in TEXTURES:
            raise InputError("texture is out of range", received=repr(self.texture),
                             expected="a power of two from 64 to 8192")
        if self.texture_from is not None and self.texture_from not in TEXTURE_SOURCES:
            raise InputError("texture_from is unknown", received=repr(self.texture_from),
                             expected=", ".join(TEXTURE_SOURCES))
        _picture("control", self.control)
        self._check_source()
        if self.control_scale is not None:
            _real("control_scale", self.control_scale, 0.0, MOST_CONTROL)
            if self.control is None:
                raise InputError("control_scale is there without a control picture", remedy="give one, or leave it out")

    def _settle_pictures(self) -> None:
        """The first picture is `image`; the others are `views`, with azimuths from it."""
        _picture("image", self.image)
        pairs = _pairs(self.views)
        if self.image is None and pairs:
            first, image = pairs.pop(0)
            object.__setattr__(self, "image", image)
            pairs = [(azimuth - first, picture) for azimuth, picture in pairs]
        turned = tuple((float(azimuth) % 360.0, picture) for azimuth, picture in pairs)
        if len(turned) >= MOST_PICTURES:
            raise InputError("there are too many pictures", received=f"{len(turned) + 1}", expected=f"at most {MOST_PICTURES}")
        seen = [0.0, *(azimuth for azimuth, _ in turned)]
        twice = next((azimuth for azimuth in seen if seen.count(azimuth) > 1), None)
        if twice is not None:
            raise InputError("two pictures have the same azimuth", received=f"{twice:g} degrees from the first picture, twice",
                             expected="one picture for each azimuth")
        object.__setattr__(self, "views", turned)

    def _check_source(self) -> None:
        """What the mesh is made from must be one thing."""
        check_matte(self.matte)
        if self.route is not None and self.route not in ROUTES:
            raise InputError("the route is unknown", received=repr(self.route), expected=" or ".join(ROUTES))
        if isinstance(self.matte, Picture) and self.views:
            raise InputError("one matte cannot serve several pictures", remedy="give pictures with alpha")
        if not isinstance(self.mesh, Mesh | None):
            raise InputError("mesh is no mesh", received=type(self.mesh).__name__, expected="what read_mesh gives")
        if self.image is None and (self.route is not None or self.matte != "auto"):
            raise InputError("route and matte are about pictures, and there is none", remedy="give one, or leave them out")
        if self.mesh is not None and self.image is not None:
            raise InputError("a mesh is redrawn from its own views", received="a picture beside it", expected="a prompt alone")


def _pairs(views: Mapping[float, Picture] | Iterable[tuple[float, Picture]]) -> list[tuple[float, Picture]]:
    """(azimuth, picture), the azimuths checked but as given."""
    try:
        pairs = [(azimuth, picture) for azimuth, picture in (views.items() if isinstance(views, Mapping) else views)]
    except (TypeError, ValueError) as error:
        raise InputError("views is no list of azimuths and pictures", received=type(views).__name__,
                         expected="{azimuth: picture, ...}") from error
    for azimuth, picture in pairs:
        _real("the azimuth of a view", azimuth, -360.0, 360.0)
        if picture is None:
            raise InputError(f"the view at {azimuth:g} has no picture")
        _picture(f"the view at {azimuth:g}", picture)
    return pairs


def _picture(name: str, value: object) -> None:
    if not isinstance(value, Picture | None):
        raise InputError(f"{name} is no picture", received=type(value).__name__, expected="what read_picture or Picture.of gives")


def _whole(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"{name} is out of range", received=repr(value), expected=f"a whole number, {low} to {high}")


def _real(name: str, value: object, low: float, high: float) -> None:
    # NaN fails every comparison, so it is refused here as well.
    if isinstance(value, bool) or not isinstance(value, Real) or not low <= float(value) <= high:
        raise InputError(f"{name} is out of range", received=repr(value), expected=f"a number, {low:g} to {high:g}")
