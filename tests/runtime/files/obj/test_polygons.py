"""Polygons as triangles: areas worked out by hand, whatever the polygon's shape and wherever its plane is."""

import numpy as np
import pytest

from meshwright.runtime.files.obj.ear_clipping import WorkBudget, clip_ears
from meshwright.runtime.files.obj.polygons import triangulate

U = [(0, 0), (3, 0), (3, 3), (2, 3), (2, 1), (1, 1), (1, 3), (0, 3)]
DART = [(0, 0), (4, 0), (1, 1), (0, 4)]
# A square of 4 with a square hole of 2, joined by a bridge that is gone both ways.
RING = [(0, 0), (4, 0), (4, 4), (0, 4), (0, 0), (1, 1), (1, 3), (3, 3), (3, 1), (1, 1)]
# A bridge along an edge's line: corners 0, 1, 5 on y = 0 are in a row.
SLOT = [(0, 0), (1, 0), (1, 1), (2, 1), (2, 0), (3, 0), (3, 2), (0, 2)]
TWO_SQUARES_AT_A_CORNER = [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (1, 2), (1, 1), (0, 1)]
POINT_ON_EDGE = [(0, 0), (2, 0), (4, 0), (4, 1), (2, 0), (0, 1)]  # the fifth corner touches the first edge
ROW = [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (0, 1)]
TWICE = [(0, 0), (2, 0), (2, 0), (2, 2), (0, 2), (0, 2)]
SHAPES = {"U": (U, 7), "dart": (DART, 4), "ring": (RING, 12), "slot": (SLOT, 5), "touching": (TWO_SQUARES_AT_A_CORNER, 2),
          "pinched": (POINT_ON_EDGE, 2), "row": (ROW, 3), "twice": (TWICE, 4), "triangle": ([(0, 0), (1, 0), (0, 1)], 0.5)}


def in_space(points, turn):
    """The polygon in a plane of its own, far from the origin."""
    random = np.random.default_rng(turn)
    axes = np.linalg.qr(random.normal(size=(3, 3)))[0] if turn else np.eye(3)
    axes *= np.sign(np.linalg.det(axes))
    flat = np.c_[np.array(points, np.float64), np.zeros(len(points))]
    return flat @ axes.T + (random.normal(size=3) * 50 if turn else 0), axes[:, 2]


def signed_areas(places, normal, made):
    a, b, c = (places[made.corners[:, k]] for k in range(3))
    return np.cross(b - a, c - a) @ normal / 2


def alone(places):
    return triangulate(places, np.arange(len(places)), np.array([len(places)]))


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("start", [0, 1, 2])
def test_polygons_are_covered_once(name, turn, start):
    """No triangle faces the other way, and their areas add up: they cover the polygon and do not overlap."""
    points, area = SHAPES[name]
    places, normal = in_space(points[start:] + points[:start], turn)
    made = alone(places)
    areas = signed_areas(places, normal, made)
    assert made.wrong == [] and len(areas) == len(points) - 2
    assert areas.min() > -1e-9 and areas.sum() == pytest.approx(area)


def test_nothing_fills_a_notch():
    places, _ = in_space(U, 0)
    middles = places[alone(places).corners].mean(axis=1)
    assert not ((middles[:, 0] > 1) & (middles[:, 0] < 2) & (middles[:, 1] > 1)).any()


def test_a_polygon_of_the_other_direction_faces_the_other_way():
    places, normal = in_space(U[::-1], 2)
    np.testing.assert_allclose(signed_areas(places, normal, alone(places)).sum(), -7)


def test_many_polygons_keep_their_order():
    shapes = [SHAPES[name] for name in ("U", "triangle", "dart", "ring", "dart", "U", "triangle")]
    places = np.concatenate([in_space(points, 0)[0] for points, _ in shapes])
    made = triangulate(places, np.arange(len(places)), np.array([len(points) for points, _ in shapes]))
    assert (np.diff(made.polygons) >= 0).all()
    sums = np.bincount(made.polygons, signed_areas(places, np.array([0, 0, 1.0]), made))
    np.testing.assert_allclose(sums, [area for _, area in shapes])


@pytest.mark.parametrize("points", [
    [(0, 0), (1, 1), (1, 0), (0, 1)],  # a bow tie whose halves are as large: it has no normal
    [(0, 0), (2, 2), (2, 0), (0, 1)],
    [(np.cos(a), np.sin(a)) for a in np.arange(5) * 0.8 * np.pi],  # a pentagram, twice around
    [(0, 0), (4, 0), (4, 4), (2, -1), (0, 4)],
])
def test_polygons_that_cross_themselves_are_told(points):
    made = triangulate(in_space(U + points, 0)[0], np.arange(len(U) + len(points)), np.array([len(U), len(points)]))
    assert made.wrong == [1] and len(made.corners) == 6 + len(points) - 2
    assert set(made.corners[6:].ravel()) == set(range(8, 8 + len(points)))


@pytest.mark.parametrize("points", [[(1, 1)] * 6, [(0, 0), (1, 0), (2, 0), (3, 0), (1, 0)], [(0, 0), (1, 0), (1, 0), (0, 0)]])
def test_polygons_without_area_have_triangles_without_area(points):
    places, normal = in_space(points, 0)
    made = alone(places)
    assert made.wrong == [] and len(made.corners) == len(points) - 2 and not signed_areas(places, normal, made).any()


def test_quads_that_are_bent_have_no_wrong_diagonal():
    """Four corners of a cube that no plane goes through."""
    assert alone(np.array([[0, 0, 0], [1, 0, 1], [1, 1, 0], [0, 1, 1.0]])).wrong == []


def test_of_a_quad_with_three_corners_in_a_row_no_triangle_is_lost():
    places, normal = in_space([(0, 0), (1, 0), (2, 0), (0, 2)], 0)
    np.testing.assert_allclose(sorted(signed_areas(places, normal, alone(places))), [1, 1])


def test_a_gear_of_many_teeth():
    """2,000 corners. Between a circle's radius of 1 and 1.3, teeth and gaps of equal width."""
    count = 2000
    angle, radius = np.arange(count) * 2 * np.pi / count, np.where(np.arange(count) % 4 < 2, 1.3, 1.0)
    places = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros(count)], axis=1)
    made = alone(places)
    step = np.sin(2 * np.pi / count) / 2  # a triangle from the middle to two neighbours, both at a radius of 1
    area = count / 4 * step * (1.3**2 + 1 + 2 * 1.3)
    areas = signed_areas(places, np.array([0, 0, 1.0]), made)
    assert made.wrong == [] and areas.min() > 0 and areas.sum() == pytest.approx(area)


def test_the_effort_is_bounded():
    """A crossing polygon of 20,000 corners, and one that uses up what all polygons share: still so many triangles."""
    budget = WorkBudget()
    triangles, exact = clip_ears(list(map(tuple, np.random.default_rng(0).random((20_000, 2)).tolist())), budget)
    assert not exact and len(triangles) == 19_998 and WorkBudget().left - budget.left < 110 * 20_000
    triangles, exact = clip_ears([(x / 3, y / 3) for x, y in U], WorkBudget(left=5))
    assert not exact and len(triangles) == 6


def test_progress_goes_up_and_can_end_the_work():
    places, counts = np.tile(in_space(U, 0)[0], (3000, 1)), np.full(3000, 8)
    seen = []
    triangulate(places, np.arange(len(places)), counts, seen.append)
    assert seen == sorted(seen) and seen[-1] == 1

    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        triangulate(places, np.arange(len(places)), counts, stop)
