"""What a caller can ask for: one frozen dataclass with every option's default, range and effect."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

from ..engines.errors import InputError
from .manifest import TEXTURE_SOURCES
from .text import check_prompt

MOST_STEPS = 1000
MOST_GUIDANCE = 100.0
MOST_FACES = 1_000_000
TEXTURES = (64, 128, 256, 512, 1024, 2048, 4096, 8192)


@dataclass(frozen=True)
class Request:
    """One object to make; checked when it is made (InputError names the option, what came, what may come).

    prompt : what to make, in words. Cut, with a notice, to the length that the pack's text encoder reads.
    seed : 0 to 2**64 - 1. Same seed, pack and backend: the same bytes, but for timings.
    steps : 1 to 1000, None for the pack's own. Steps of the refiner: more are slower, not always better.
    guidance : 0 to 100, None for the pack's own. How strongly the refiner follows the prompt; 1 is no guidance.
    prior_steps, prior_guidance : the same two for the loop that draws the coarse shape.
    faces : 4 to 1,000,000, None for the pack's own. The mesh is decimated to at most that many triangles before
        it is unwrapped.
    texture : a power of two from 64 to 8192, None for the pack's own. Sides of the baseColor texture, in pixels.
    texture_from : "views" projects the refined views, "field" asks the reconstructed colour field, "blend"
        fills with the field what no view sees; None for the pack's own.
    """

    prompt: str
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None
    prior_steps: int | None = None
    prior_guidance: float | None = None
    faces: int | None = None
    texture: int | None = None
    texture_from: str | None = None

    def __post_init__(self) -> None:
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


def _whole(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"{name} is out of range", received=repr(value), expected=f"a whole number, {low} to {high}")


def _real(name: str, value: object, low: float, high: float) -> None:
    # NaN fails every comparison, so it is refused here as well.
    if isinstance(value, bool) or not isinstance(value, Real) or not low <= float(value) <= high:
        raise InputError(f"{name} is out of range", received=repr(value), expected=f"a number, {low:g} to {high:g}")
