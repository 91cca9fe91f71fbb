"""Which family a generated object belongs to, and which of its points belong to the main part.

Family: 2,048 points on the generated mesh are compared with 2,048 points on each of 12 fresh props of every
family, made from seeds that neither training nor prompts use. Both clouds are moved and scaled so that their
boxes are centred and their longest side is 1. The score of a family is the best F-score, at a threshold of
0.05, over its 12 props; the family with the highest score is the object's. Nothing is rotated: a car that
points sideways is compared as it stands.

Parts: each point takes the part of the nearest point of the best matching fresh prop of the family asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from meshwright.export.props.world.families import FAMILIES
from meshwright.export.props.world.palette import nearest as color_name
from meshwright.export.props.world.sdf import distances
from meshwright.export.props.world.world import make_prop

from .metrics import f_score, most_frequent, nearest, unit_box

FIRST_SEED, PER_FAMILY, POINTS, THRESHOLD = 30_000_000, 12, 2048, 0.05
MAIN, SECOND = 0, 1


@dataclass(frozen=True, eq=False)
class Reference:
    """A fresh prop: points (n, 3) float32 on its surface in a unit box, and the part slot of each (n,) int."""

    family: str
    points: np.ndarray
    slots: np.ndarray


@dataclass(frozen=True, eq=False)
class Match:
    """The scores of one object. scores : family -> best F-score; best : family -> the fresh prop that gave it."""

    scores: dict[str, float]
    best: dict[str, Reference]

    @property
    def family(self) -> str:
        return max(self.scores, key=self.scores.get)


@cache
def references() -> tuple[Reference, ...]:
    """All fresh props, the same on every machine."""
    families = [family for family in FAMILIES for _ in range(PER_FAMILY)]
    return tuple(_reference(FIRST_SEED + i, family) for i, family in enumerate(families))


def match(points: np.ndarray) -> Match:
    """Compare points (n, 3) on an object's surface with every fresh prop."""
    points, scores, best = unit_box(points), {}, {}
    for reference in references():
        score = f_score(points, reference.points, THRESHOLD)
        if score > scores.get(reference.family, -1.0):
            scores[reference.family], best[reference.family] = score, reference
    return Match(scores, best)


def part_color(points: np.ndarray, colors: np.ndarray, reference: Reference, slot: int) -> str | None:
    """The named colour that most points of one part have; None if no point belongs to it.

    points (n, 3), colors (n, 3) in [0, 1]; each colour counts as the palette's nearest by name
    """
    slots = reference.slots[nearest(unit_box(points), reference.points)]
    return most_frequent([color_name(color) for color in colors[slots == slot]])


def _reference(seed: int, family: str) -> Reference:
    prop = make_prop(seed, family)
    points = prop.surface(POINTS, np.random.default_rng((seed, 3)))
    index = distances(prop.primitives, np.ascontiguousarray(points))[1]
    return Reference(family, unit_box(points), prop.primitives[index, 22].astype(int))
