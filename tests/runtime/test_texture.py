"""The last stage of a recipe: whose light a texture made of views keeps."""

import dataclasses

import numpy as np
import pytest

from meshwright.runtime.cameras import orbit
from meshwright.runtime.isosurface import extract
from meshwright.runtime.pack import Pack
from meshwright.runtime.request import Request
from meshwright.runtime.texture import textured

GREY = 0.5


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
    while True:
        try:
            next(stage)
        except StopIteration as ended:
            return ended.value.texture.reshape(-1, 3) / 255


@pytest.mark.parametrize("source", ["views", "blend"])
def test_views_in_a_light_of_their_own_are_taken_as_they_are(ball, tiny, source):
    np.testing.assert_allclose(colors(ball, tiny, source, lit=False), GREY, atol=1 / 255)


@pytest.mark.parametrize("source", ["views", "blend"])
def test_our_light_is_taken_out_of_views_that_carry_it(ball, tiny, source):
    """Texels that face away from it come out brighter than the views are."""
    assert colors(ball, tiny, source, lit=True).max() > GREY + 0.1


def test_the_field_has_no_light(ball, tiny):
    np.testing.assert_allclose(colors(ball, tiny, "field", lit=True), GREY, atol=1 / 255)
