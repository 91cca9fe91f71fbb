"""One seeded prop with its truth: primitives, colours, captions, surface points, distances, views."""

from dataclasses import dataclass

import numpy as np

from . import families, sdf
from .captions import caption
from .palette import NAMES, RGB, jittered

DETAILS = np.array([[0.13, 0.13, 0.15], [0.85, 0.90, 0.95], [0.62, 0.36, 0.16]])


@dataclass(frozen=True)
class Prop:
    """A prop of the world.

    primitives : (n, 24) float32, see `sdf`; within a sphere of radius 0.97, front +x, up +z
    first, second : palette names of the main colour and of the second part
    named : which of the two a caption may name (a prop of the usual colours may be asked for without any)
    """

    family: str
    primitives: np.ndarray
    first: str
    second: str
    seed: int

    def captions(self, count: int) -> list[str]:
        """`count` captions, drawn anew for each call from the prop's own seed."""
        rng = np.random.default_rng((self.seed, 1))
        return [self._caption(rng) for _ in range(count)]

    def _caption(self, rng) -> str:
        return caption_of(self.family, self.first, self.second, rng)

    def distances(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Signed distance (n,) float32, negative inside, and sRGB colour (n, 3) float32 of the nearest part."""
        distance, index = sdf.distances(self.primitives, np.ascontiguousarray(points, dtype=np.float32))
        return distance, self.primitives[index, 18:21]

    def surface(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Points (count, 3) float32 spread over the outer surface."""
        kept, total = [], 0
        while total < count:
            points = rng.uniform(-1.0, 1.0, (count * 4, 3)).astype(np.float32)
            near = np.abs(sdf.distances(self.primitives, points)[0]) < 0.08
            points = np.ascontiguousarray(points[near])
            sdf.project_to_surface(self.primitives, points, 4)
            points = points[np.abs(sdf.distances(self.primitives, points)[0]) < 2e-3]
            kept.append(points)
            total += len(points)
        return np.concatenate(kept)[:count]

    def views(self, c2w: np.ndarray, size: int) -> np.ndarray:
        """Views (n, size, size, 3) float32 in [0, 1] on white; c2w (n, 4, 4) in OpenGL axes."""
        return sdf.render(self.primitives, c2w, size)


def make_prop(seed: int, family: str | None = None, first: str | None = None, second: str | None = None) -> Prop:
    """The prop of `seed`: the same on every machine. Family and colours may be fixed from outside."""
    rng = np.random.default_rng((seed, 0))
    drawn = list(families.FAMILIES)[int(rng.integers(len(families.FAMILIES)))]
    family = family or drawn
    pair = color_names(family, rng)
    first, second = first or pair[0], second or pair[1]
    colors = paint(first, second, rng)
    return Prop(family, families.build(family, colors, rng), first, second, seed)


def color_names(family: str, rng: np.random.Generator) -> tuple[str, str]:
    """Palette names for the main colour and the second part of a prop: its usual ones, one of its own, or any two."""
    usual, kind = families.USUAL[family], rng.random()
    pair = usual if kind < 0.15 else (_draw(rng), usual[1]) if kind < 0.35 else (_draw(rng), _draw(rng))
    return (pair[0], pair[0]) if 0.35 <= kind < 0.5 else pair


def paint(first: str, second: str, rng: np.random.Generator) -> np.ndarray:
    """Colours (5, 3) float64 sRGB of the slots, each named one as this pot of paint has it."""
    return np.concatenate([[jittered(first, rng), jittered(second, rng)], DETAILS])


def caption_of(family: str, first: str, second: str, rng: np.random.Generator) -> str:
    """What a person might type for a prop in these colours; usual ones may go unsaid."""
    usual = families.USUAL[family]
    if (first, second) == usual and rng.random() < 0.5:
        return caption(family, None, None, rng)
    may_omit = second in (first, usual[1])
    return caption(family, first, None if may_omit and rng.random() < 0.6 else second, rng)


def _draw(rng) -> str:
    return NAMES[int(rng.integers(len(RGB)))]
