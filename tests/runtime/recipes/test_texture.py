"""The last stage of a recipe: strip by strip the same bytes as in one piece, told as it goes, stopped between strips; whose light
a texture made of views keeps."""

import dataclasses

import numpy as np
import pytest

from meshwright.runtime.events import Step
from meshwright.runtime.geometry.cameras import orbit
from meshwright.runtime.geometry.creases import split_at_creases
from meshwright.runtime.geometry.isosurface import extract
from meshwright.runtime.geometry.render import render_views
from meshwright.runtime.pack.pack import Pack
from meshwright.runtime.recipes import texture as module
from meshwright.runtime.recipes.texture import painted, textured
from meshwright.runtime.request import Request
from meshwright.runtime.texture.atlas import make_atlas
from meshwright.runtime.texture.bake import Sight, bake_field, bake_views
from meshwright.runtime.texture.painter import Painter
from meshwright.runtime.texture.unwrap import unwrap
from tests.runtime.shapes import letter_f, position_colors

SIZE = 128
GREY = 0.5


@pytest.fixture(scope="module")
def mesh():
    """A letter F with uvs."""
    return unwrap(split_at_creases(letter_f(detail=3)), SIZE).mesh


def run(stage):
    """The events of a stage, and what it returns."""
    events = []
    while True:
        try:
            events.append(next(stage))
        except StopIteration as stop:
            return events, stop.value


def test_the_field_in_strips(mesh):
    def bake(atlas):
        return bake_field(atlas, position_colors)

    (none, whole), (steps, strips) = (run(painted(mesh, SIZE, bake, all_seen=True, height=height)) for height in (SIZE, 16))
    np.testing.assert_array_equal(strips, whole)
    assert none == [] and steps == [Step("texture", index, 8) for index in range(1, 9)]


def test_views_in_strips(mesh):
    """What one strip did not see is filled from what another one saw; sums of other orders may round differently."""
    colored = mesh.replace(colors=(position_colors(mesh.vertices) * 255).astype(np.uint8))
    cameras = orbit([0.0], [0.0])
    sight = Sight.of(mesh, render_views(colored, cameras, 128), cameras)

    def bake(atlas):
        return bake_views(atlas, sight)

    whole, strips = (run(painted(mesh, SIZE, bake, all_seen=False, height=height))[1] for height in (SIZE, 16))
    assert np.abs(whole.astype(int) - strips).max() <= 1
    assert whole.std() > 20


def test_it_stops_between_strips(mesh):
    strips = []

    def bake(atlas):
        strips.append(atlas.rows)
        return bake_field(atlas, position_colors)

    stage = painted(mesh, SIZE, bake, all_seen=True, height=32)
    next(stage)
    stage.close()
    assert strips == [(0, 32)]


@pytest.fixture(scope="module")
def ball():
    return extract(lambda points: {"sdf": np.linalg.norm(points, axis=1) - 0.6}, None, 24, 2.0)


def colors(ball, tiny, source, lit):
    """(n, 3) of the texels, from views that are grey everywhere and a field that is grey everywhere."""
    pack = Pack.open(tiny).manifest
    views = dataclasses.replace(pack.views, lit=lit)
    cameras = orbit(views.azimuths, views.elevations, views.radius, views.fov)
    stage = textured(ball, lambda points: np.full((len(points), 3), GREY, np.float32), np.full((6, 64, 64, 3), GREY, np.float32), cameras,
                     Request("a ball", texture=128, texture_from=source), dataclasses.replace(pack, views=views))
    return run(stage)[1].texture.reshape(-1, 3) / 255


@pytest.mark.parametrize("source", ["views", "blend"])
def test_views_in_a_light_of_their_own_are_taken_as_they_are(ball, tiny, source):
    np.testing.assert_allclose(colors(ball, tiny, source, lit=False), GREY, atol=1 / 255)


@pytest.mark.parametrize("source", ["views", "blend"])
def test_our_light_is_taken_out_of_views_that_carry_it(ball, tiny, source):
    """Texels that face away from it come out brighter than the views are."""
    assert colors(ball, tiny, source, lit=True).max() > GREY + 0.1


def test_the_field_has_no_light(ball, tiny):
    np.testing.assert_allclose(colors(ball, tiny, "field", lit=True), GREY, atol=1 / 255)


def test_the_field_is_asked_at_half_the_size_and_enlarged(ball, tiny):
    """As good as asked at each texel, within two levels of 255."""
    pack, asked = Pack.open(tiny).manifest, []
    views = pack.views
    cameras = orbit(views.azimuths, views.elevations, views.radius, views.fov)

    def color(points):
        asked.append(len(points))
        return position_colors(points)

    request = Request("a ball", texture=512, texture_from="field")
    mesh = run(textured(ball, color, np.ones((6, 64, 64, 3), np.float32), cameras, request, pack))[1]
    assert mesh.texture.shape == (512, 512, 3) and sum(asked) < 256 ** 2
    atlas = make_atlas(mesh, 512)
    off = mesh.texture.reshape(-1, 3)[atlas.texel] - 255 * position_colors(atlas.position)
    assert np.abs(off).mean() < 0.5 and np.percentile(np.abs(off), 99) < 2


@pytest.mark.parametrize(("size", "source", "baked"), [(64, "field", 64), (256, "field", 256), (8192, "field", 2048), (512, "views", 512)])
def test_sizes_that_are_baked(ball, tiny, size, source, baked, monkeypatch):
    """No texture of more than 2048 texels along a side is ever asked for."""
    sizes = []
    monkeypatch.setattr(module, "Painter", lambda side: sizes.append(side) or Painter(side))
    monkeypatch.setattr(module, "enlarged", lambda texture, side: np.zeros((1, 1, 3), np.uint8) if sizes[-1] > 512 else texture)
    pack = Pack.open(tiny).manifest
    cameras = orbit(pack.views.azimuths, pack.views.elevations, pack.views.radius, pack.views.fov)
    grey = np.full((6, 64, 64, 3), GREY, np.float32)
    run(textured(ball, lambda points: np.full((len(points), 3), GREY, np.float32), grey, cameras,
                 Request("a ball", texture=size, texture_from=source), pack))
    assert sizes == [baked]
