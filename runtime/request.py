"""What a caller can ask for: one frozen dataclass with every option's default, range and effect."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

from ..engines.errors import InputError
from .manifest import TEXTURE_SOURCES, Manifest
from .pictures import Picture
from .text import check_prompt, shorten

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
    image : what to make, as a picture, for packs that take one.
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
    control: Picture | None = None
    control_scale: float | None = None

    def __post_init__(self) -> None:
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
        for name in ("image", "control"):
            if not isinstance(getattr(self, name), Picture | None):
                raise InputError(f"{name} is no picture", received=type(getattr(self, name)).__name__,
                                 expected="what read_picture or Picture.of gives")
        if self.control_scale is not None:
            _real("control_scale", self.control_scale, 0.0, MOST_CONTROL)
            if self.control is None:
                raise InputError("control_scale is there without a control picture", remedy="give one, or leave it out")


def check_fits(request: Request, pack: Manifest) -> None:
    """Raise InputError if the pack has no use for what the request holds, or cannot do without what it lacks."""
    sees = pack.find("image_encoder") or pack.find("prior_image_encoder")
    if sees and request.image is None:
        raise InputError(f"pack {pack.name} makes meshes from pictures", received="a prompt alone", expected="a picture",
                         remedy="give one with --image")
    if request.image is not None and not sees:
        raise InputError(f"pack {pack.name} makes meshes from prompts", received="a picture", expected="a prompt alone")
    if request.prompt and pack.text is None:
        raise InputError(f"pack {pack.name} reads no prompts", received=shorten(request.prompt), expected="a picture alone")
    step = pack.find("views_step")
    if request.control is not None and not (step and step.takes("control")):
        raise InputError(f"pack {pack.name} has no ControlNet", received="a control picture", expected="none")
    if pack.prior is None and (request.prior_steps, request.prior_guidance) != (None, None):
        raise InputError(f"pack {pack.name} draws no coarse shape", received="prior_steps or prior_guidance", expected="neither")


def _whole(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"{name} is out of range", received=repr(value), expected=f"a whole number, {low} to {high}")


def _real(name: str, value: object, low: float, high: float) -> None:
    # NaN fails every comparison, so it is refused here as well.
    if isinstance(value, bool) or not isinstance(value, Real) or not low <= float(value) <= high:
        raise InputError(f"{name} is out of range", received=repr(value), expected=f"a number, {low:g} to {high:g}")
