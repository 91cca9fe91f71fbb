import numpy as np
import pytest

from meshwright.export.props.world import sdf
from meshwright.export.props.world.families import FAMILIES, SECOND_PART, USUAL
from meshwright.export.props.world.palette import COLORS, NAMES, WORDS, nearest
from meshwright.export.props.world.shapes import Builder, turn
from meshwright.export.props.world.world import make_prop
from meshwright.runtime.geometry.cameras import orbit

SEED = 50_000_000
PRIMITIVES = {
    "box": lambda b: b.box((0.5, 0.3, 0.7), (0.1, 0.0, -0.1), rotation=turn("y", 30), rounding=0.05),
    "frustum": lambda b: b.cone(0.5, 0.6, 0.2, (0.0, 0.1, 0.0), rotation=turn("x", 50)),
    "torus": lambda b: b.torus(0.5, 0.15, (0, 0, 0.1), rotation=turn("y", 90)),
    "tube": lambda b: b.tube(0.5, 0.08, 0.4, (0, 0, 0), rounding=0.02),
    "capsule": lambda b: b.capsule(0.4, 0.2, (0.1, 0.1, 0)),
    "sphere": lambda b: b.sphere(0.6, (0.1, 0.2, 0)),
    "prism": lambda b: b.prism(0.5, 0.8, 0.3, (0, 0, 0), rotation=turn("z", 40)),
}


def surface_of(prop, count):
    """Points where a fine grid changes its sign: brute force, of the sign alone."""
    axis = np.linspace(-1, 1, count)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).astype(np.float32)
    inside = (sdf.distances(prop, grid.reshape(-1, 3))[0] < 0).reshape(grid.shape[:3])
    found = []
    for k in range(3):
        before, after = np.swapaxes(inside, 0, k)[:-1], np.swapaxes(inside, 0, k)[1:]
        points = np.swapaxes(grid, 0, k)
        found.append(((points[:-1] + points[1:]) / 2)[before != after])
    return np.concatenate(found)


@pytest.mark.parametrize("name", PRIMITIVES)
def test_distance_is_the_distance_to_the_surface(name):
    builder = Builder()
    PRIMITIVES[name](builder)
    prop = np.stack(builder.rows)
    surface, step = surface_of(prop, 61), 2 / 60
    points = np.random.default_rng(0).uniform(-1, 1, (150, 3)).astype(np.float32)
    truth = np.sqrt(((points[:, None] - surface[None]) ** 2).sum(axis=-1)).min(axis=1)
    np.testing.assert_allclose(np.abs(sdf.distances(prop, points)[0]), truth, atol=1.2 * step)


def test_an_ellipsoid_has_its_surface_where_it_belongs():
    builder = Builder()
    builder.ellipsoid((0.3, 0.5, 0.8), (0, 0, 0))
    directions = np.random.default_rng(0).normal(size=(100, 3))
    points = directions / np.linalg.norm(directions / [0.3, 0.5, 0.8], axis=1, keepdims=True)
    np.testing.assert_allclose(sdf.distances(np.stack(builder.rows), points.astype(np.float32))[0], 0, atol=1e-5)


def test_a_union_is_the_nearest_part():
    builder = Builder()
    builder.sphere(0.3, (0.5, 0, 0), slot=0)
    builder.sphere(0.2, (-0.5, 0, 0), slot=1)
    points = np.array([[0.5, 0, 0.5], [-0.5, 0, 0.5], [0, 0, 0]], np.float32)
    distance, index = sdf.distances(np.stack(builder.rows), points)
    np.testing.assert_allclose(distance, [0.2, 0.3, 0.2], atol=1e-5)
    assert index.tolist() == [0, 1, 0]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_prop_fits_the_sphere_and_is_one_piece(family):
    for seed in range(SEED, SEED + 4):
        prop = make_prop(seed, family)
        surface = prop.surface(512, np.random.default_rng(0))
        assert np.linalg.norm(surface, axis=1).max() <= 1
        assert np.abs(prop.distances(surface)[0]).max() < 2e-3
        assert pieces(prop.primitives) == 1, f"{family} {seed} falls apart"


def pieces(primitives):
    """How many pieces a union has, two primitives being joined where they share a point."""
    points = np.random.default_rng(1).uniform(-1, 1, (40_000, 3)).astype(np.float32)
    inside = np.stack([sdf.distances(primitives[i:i + 1], points)[0] < 0.02 for i in range(len(primitives))])
    near = inside.astype(np.float32)
    linked = near @ near.T > 0
    reached = np.zeros(len(primitives), bool)
    reached[0], count = True, 1
    while True:
        grown = linked[reached].any(axis=0) | reached
        if (grown == reached).all():
            if reached.all():
                return count
            grown, count = reached.copy(), count + 1
            grown[np.flatnonzero(~reached)[0]] = True
        reached = grown


def test_a_seed_gives_the_same_prop_again():
    one, other, third = make_prop(SEED), make_prop(SEED), make_prop(SEED + 1)
    np.testing.assert_array_equal(one.primitives, other.primitives)
    assert (one.family, one.first, one.second) == (other.family, other.first, other.second)
    assert one.captions(4) == other.captions(4)
    assert one.primitives.shape != third.primitives.shape or (one.primitives != third.primitives).any()


def test_there_are_enough_families_and_colours():
    assert len(FAMILIES) >= 16 and len(NAMES) >= 12
    assert set(FAMILIES) == set(SECOND_PART) == set(USUAL) and set(WORDS) == set(COLORS)
    drawn = [make_prop(SEED + i) for i in range(300)]
    assert {prop.family for prop in drawn} == set(FAMILIES)
    assert {prop.first for prop in drawn} == set(NAMES)


def test_parts_have_the_colours_that_they_are_called():
    for i, family in enumerate(FAMILIES):
        prop = make_prop(SEED + i, family, first="teal", second="orange")
        by_slot = {slot: prop.primitives[prop.primitives[:, 22] == slot][:, 18:21] for slot in (0, 1)}
        assert {nearest(rgb) for rgb in by_slot[0]} == {"teal"}
        assert {nearest(rgb) for rgb in by_slot[1]} == {"orange"}


def test_the_front_is_plus_x():
    def centre(prop, rows):
        return prop.primitives[rows][:, 10:13].mean(axis=0)

    for seed in range(SEED, SEED + 3):
        car = make_prop(seed, "car", first="teal", second="teal")
        lights = np.abs(car.primitives[:, 18:21] - [0.85, 0.90, 0.95]).max(axis=1) < 1e-3
        assert centre(car, lights)[0] > 0.5, "headlights"
        snowman = make_prop(seed, "snowman")
        nose = np.abs(snowman.primitives[:, 18:21] - [0.62, 0.36, 0.16]).max(axis=1) < 1e-3
        assert centre(snowman, nose)[0] > 0.05 and abs(centre(snowman, nose)[1]) < 1e-5, "nose"
        chair = make_prop(seed, "chair")
        assert chair.primitives[chair.primitives[:, 12].argmax(), 10] < 0, "the back of a chair is behind"
        mug = make_prop(seed, "mug")
        assert mug.primitives[mug.primitives[:, 0] == sdf.TORUS][0, 11] > 0, "the handle is at +y"


def test_views_show_the_front_from_the_front_and_are_not_mirrored():
    builder = Builder()
    builder.box((0.3, 0.3, 0.3), (0, 0, 0), slot=0)
    builder.sphere(0.15, (0.4, 0, 0), slot=1)
    builder.sphere(0.15, (0, 0.4, 0), slot=2)
    prop = builder.finish(np.array([[0.5, 0.5, 0.5], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    views = sdf.render(prop, orbit().c2w, 32)
    assert views.shape == (6, 32, 32, 3) and views.dtype == np.float32
    red = (views[..., 0] - views[..., 1] > 0.3).sum(axis=(1, 2))
    assert red[[0, 5]].min() > 4 and red[2] == red[3] == 0, "seen at azimuths 30 and 330, not from behind"
    green = np.argwhere(views[5, :, :, 1] - views[5, :, :, 0] > 0.3)
    assert len(green) and green[:, 1].min() > 16, "+y is to the right of who looks from the front"
    assert (views[:, 0] == 1).all(), "white background"


def test_shading_and_edges_of_a_view():
    builder = Builder()
    builder.sphere(0.5, (0, 0, 0))
    prop = np.stack(builder.rows)
    prop[:, 18:21] = 0.8
    view = sdf.render(prop, orbit().c2w[:1], 64)[0]
    shown = view[np.linalg.norm(np.indices((64, 64)) - 31.5, axis=0) < 10]
    assert shown.min() >= 0.8 * 0.55 - 1e-3 and shown.max() <= 0.8 + 1e-3
    assert ((view > 0.8) & (view < 1)).any(), "edges are antialiased"
