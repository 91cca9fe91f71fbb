"""Triangulates one polygon of the plane by ear clipping (Meisters 1975), its reflex corners in a grid."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

Point = tuple[float, float]
# Of an area: what the rounding of a file's numbers does to it.
ROUNDING = 1e-6
# Looks a corner that a polygon is worth if it crosses itself, since no triangles are right for it.
CROSSED = 100
# Corners that are tried between two calls of `tick`.
OFTEN = 2000


@dataclass
class WorkBudget:
    """What is left to spend on the polygons of a file: ear clipping is quadratic at its worst.

    left : looks at corners and cells; when there are none, what is left of a polygon becomes a fan
    tick : called now and then; what it raises ends the work
    """

    left: int = 12_000_000
    tick: Callable[[], None] = lambda: None


def clip_ears(points: Sequence[Point], budget: WorkBudget) -> tuple[list[tuple[int, int, int]], bool]:
    """(n - 2) triangles of a polygon of n corners, counter-clockwise, and whether they cover just the polygon.

    A bridge to a hole, gone both ways, is no crossing, and neither is a corner that touches an edge. A polygon that crosses itself,
    or takes too much effort, still gives n - 2 triangles whose signed areas add up to its own.

    points : counter-clockwise, about 1 in size
    """
    budget.tick()
    return _Clipping(points, budget).run()


@dataclass
class _Clipping:
    points: Sequence[Point]
    budget: WorkBudget
    before: list[int] = field(init=False)
    after: list[int] = field(init=False)
    reflex: set[int] = field(init=False)
    triangles: list[tuple[int, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        count = len(self.points)
        self.before, self.after = [count - 1, *range(count - 1)], [*range(1, count), 0]
        self.there = [True] * count
        self.reflex = {i for i in range(count) if self._turn(i) < 0}
        self._make_grid()

    def run(self) -> tuple[list[tuple[int, int, int]], bool]:
        """A corner is tried again when a neighbour is gone, and when a whole round has found nothing."""
        count, exact = len(self.points), self._turns_once()
        minimum = 0 if exact else max(0, self.budget.left - CROSSED * count)
        waiting, strict, found, tried = deque([*range(0, count, 2), *range(1, count, 2)]), True, False, 0
        while len(self.triangles) < count - 3 and self.budget.left > minimum:
            if not waiting:
                waiting.extend(i for i in range(count) if self.there[i])
                if not found and strict:
                    strict = False
                elif not found:
                    waiting.extendleft(self._cut(self._least_wrong(waiting)))
                    exact, strict = False, True
                found = False
            corner = waiting.popleft()
            if self.there[corner] and self._is_ear(corner, strict):
                waiting.extend(self._cut(corner))
                found = strict = True
            tried += 1
            if tried % OFTEN == 0:
                self.budget.tick()
        left = self.there.index(True)
        exact = exact and len(self.triangles) == count - 3 and self._turn(left) > -ROUNDING
        while len(self.triangles) < count - 2:
            left = self._cut(left)[1]
        return self.triangles, exact

    def _turn(self, i: int) -> float:
        return _cross(self.points[self.before[i]], self.points[i], self.points[self.after[i]])

    def _cut(self, i: int) -> tuple[int, int]:
        """Cuts a corner off; its neighbours."""
        before, after = self.before[i], self.after[i]
        self.triangles.append((before, i, after))
        self.there[i] = False
        self.after[before], self.before[after] = after, before
        self.reflex.discard(i)
        for each in (before, after):
            if self._turn(each) >= 0:
                self.reflex.discard(each)
            elif each not in self.reflex:  # not by an ear, but where there was none
                self.reflex.add(each)
                self.cells.setdefault(self._cell(*self.points[each]), []).append(each)
        return before, after

    def _is_ear(self, i: int, strict: bool) -> bool:
        """Whether nothing of the polygon is inside of the triangle at a corner; a corner without area is an ear.

        Only reflex corners need a look: of what reaches into the triangle, the corner farthest from its open side is one.
        strict : corners on its border count as inside, as they must where a polygon touches itself; else not, nor those that are
            inside by rounding alone
        """
        a, b, c = self.points[self.before[i]], self.points[i], self.points[self.after[i]]
        area = _cross(a, b, c)
        if area <= 0:
            return area == 0
        minimum = 0.0 if strict else ROUNDING * area
        for j in self._near(a, b, c):
            p = self.points[j]
            if _cross(a, b, p) >= minimum and _cross(b, c, p) >= minimum and _cross(c, a, p) >= minimum and p not in (a, b, c):
                return False
        return True

    def _least_wrong(self, corners: Collection[int]) -> int:
        """Of a polygon without an ear, the corner that turns the right way with the smallest area; any if none does."""
        self.budget.left -= len(corners)
        return min(corners, key=lambda i: self._turn(i) if self._turn(i) > 0 else math.inf)

    def _turns_once(self) -> bool:
        """Whether the corners turn by one full turn; a spike, which may be either half a turn, is taken as right."""
        total = 0.0
        for a, b, c in zip([*self.points[-1:], *self.points[:-1]], self.points, [*self.points[1:], *self.points[:1]], strict=True):
            along = (b[0] - a[0]) * (c[0] - b[0]) + (b[1] - a[1]) * (c[1] - b[1])
            turn = math.atan2(_cross(a, b, c), along)
            if abs(turn) > math.pi - 1e-6:
                return True
            total += turn
        return abs(total - 2 * math.pi) < 1

    def _make_grid(self) -> None:
        """The reflex corners by cell: more cells than corners, because corners lie along lines."""
        xs, ys = [p[0] for p in self.points], [p[1] for p in self.points]
        self.low, across = (min(xs), min(ys)), 4 * math.isqrt(len(self.reflex)) + 1
        self.scale = tuple(across / size if size > 1e-9 else 0.0 for size in (max(xs) - self.low[0], max(ys) - self.low[1]))
        self.cells: dict[tuple[int, int], list[int]] = {}
        for i in self.reflex:
            self.cells.setdefault(self._cell(*self.points[i]), []).append(i)

    def _cell(self, x: float, y: float) -> tuple[int, int]:
        return int((x - self.low[0]) * self.scale[0]), int((y - self.low[1]) * self.scale[1])

    def _near(self, a: Point, b: Point, c: Point) -> Collection[int]:
        """The reflex corners in the cells that a triangle's box touches, or all of them where those are fewer."""
        left, bottom = self._cell(min(a[0], b[0], c[0]), min(a[1], b[1], c[1]))
        right, top = self._cell(max(a[0], b[0], c[0]), max(a[1], b[1], c[1]))
        cells = (right - left + 1) * (top - bottom + 1)
        if cells >= len(self.reflex):
            self.budget.left -= 1 + len(self.reflex)
            return self.reflex
        near = [j for x in range(left, right + 1) for y in range(bottom, top + 1) for j in self.cells.get((x, y), ())
                if j in self.reflex]
        self.budget.left -= cells + len(near)
        return near


def _cross(a: Point, b: Point, c: Point) -> float:
    """Twice the signed area of a triangle."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
