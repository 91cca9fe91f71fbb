"""DMV3D on a tiny pack of random weights: a dented ball, denoised from a prompt or a picture."""

import json
from contextlib import closing

import numpy as np
import pytest

from meshwright.engines.errors import InputError
from meshwright.runtime import Mesh, Pack, Picture, Pipeline, StageStarted, Step, Surface, Views
from meshwright.runtime.backends.models import Models
from meshwright.runtime.geometry.cameras import orbit
from meshwright.runtime.geometry.topology import is_watertight
from meshwright.runtime.recipes import dmv3d
from meshwright.runtime.request import Request

FAST = {"texture": 64, "faces": 400}
PROMPT, SIZE, VIEWS, STEPS = "a red chair", 16, 4, 3
CAMERAS = orbit([0, 90, 180, 270], [20] * 4, 2.4, 50.0)


@pytest.fixture(scope="session")
def folder(once):
    from meshwright.export import tiny

    return once("tiny-dmv3d", lambda path: tiny.build(path, recipe="dmv3d"))


@pytest.fixture(scope="module")
def pipe(folder):
    with Pipeline.open(folder, threads=1) as pipe:
        yield pipe


@pytest.fixture(scope="module")
def events(pipe):
    return list(pipe.stream(PROMPT, seed=3, **FAST))


def square(color):
    """A square of that colour on nothing."""
    pixels = np.zeros((24, 24, 4), np.uint8)
    pixels[6:18, 6:18] = (*color, 255)
    return Picture.of(pixels)


def test_the_views_of_every_step_are_told_as_they_are_there(pipe, events):
    assert pipe.stages == ("text", "views", "surface", "texture")
    assert tuple(e.stage for e in events if isinstance(e, StageStarted)) == pipe.stages
    told = [e for e in events if isinstance(e, Step | Views | Surface)]
    assert [type(e) for e in told] == [Step, Views] * STEPS + [Views, Surface]
    assert [(e.index, e.total) for e in told if isinstance(e, Step)] == [(1, 3), (2, 3), (3, 3)]
    views = [e.images for e in told if isinstance(e, Views)]
    assert [each.shape for each in views] == [(VIEWS, SIZE, SIZE, 3)] * STEPS + [(VIEWS, 32, 32, 3)]
    assert all(0 <= each.min() and each.max() <= 1 for each in views) and np.abs(views[0] - views[1]).max() > 0


def test_the_mesh_is_the_surface_of_the_planes(events):
    made = events[-1].generation
    low, high = made.mesh.bounds
    assert np.abs(np.concatenate([-low, high]) - 0.6).max() < 0.12
    assert is_watertight(made.mesh) and made.mesh.signed_volume > 0 and made.mesh.texture.shape == (64, 64, 3)
    assert made.stages.views.shape == (VIEWS, 32, 32, 3)
    options = json.loads(json.dumps(made.extras))["options"]
    assert options == {"steps": 3, "guidance": 2.0, "faces": 400, "texture": 64, "texture_from": "field"}


def run(folder, request):
    """The field of a request's loop, and the views of every step."""
    models = Models(Pack.open(folder), threads=1)
    loop = dmv3d.denoise_views(models, _end(dmv3d.encode_text(models, request)), _picture(request), CAMERAS, request)
    views = []
    while True:
        try:
            event = next(loop)
        except StopIteration as end:
            return end.value, views
        views += [event.images] if isinstance(event, Views) else []


def _picture(request):
    """(1, 3, s, s): the picture's colours, without cutting anything out."""
    return None if request.image is None else request.image.pixels[4:20, 4:20, :3].transpose(2, 0, 1)[None].astype(np.float32) / 255


def _end(stage):
    while True:
        try:
            next(stage)
        except StopIteration as end:
            return end.value


def test_without_guidance_the_last_views_are_renderings_of_the_planes(folder):
    """Of the planes that the mesh is in, from the same cameras, by another graph."""
    field, views = run(folder, Request(PROMPT, guidance=1.0))
    np.testing.assert_allclose(field.seen_from(CAMERAS, SIZE), views[-1], atol=1e-5)


def test_the_result_follows_seed_prompt_and_picture(folder):
    asked = [Request(PROMPT), Request(PROMPT, seed=1), Request("a blue table"), Request("", image=square((255, 0, 0))),
             Request("", image=square((0, 0, 255)))]
    planes = [run(folder, request)[0].planes for request in (asked[0], *asked)]
    assert np.array_equal(planes[0], planes[1])
    assert all(np.abs(a - b).max() > 1e-5 for a, b in zip(planes[1:], planes[2:], strict=False))


def test_a_picture_is_the_first_view_and_is_not_guided(pipe):
    generation = pipe.generate(image=square((255, 0, 0)), **FAST)
    assert pipe.stages_of(Request("", image=square((255, 0, 0)))) == ("picture", "text", "views", "surface", "texture")
    assert generation.extras["options"]["guidance"] == 1.0
    assert len(generation.stages.cutouts) == 1 and is_watertight(generation.mesh)


def test_it_stops_between_two_steps(pipe):
    with closing(pipe.stream(PROMPT, steps=1000, **FAST)) as stream:
        seen = [next(event for event in stream if isinstance(event, Step)).index for _ in range(2)]
    assert seen == [1, 2]
    assert pipe.generate(PROMPT, **FAST).mesh is not None


@pytest.mark.parametrize("request_, said", [
    ({"prompt": PROMPT, "recipe": "sharp-it"}, "has no such recipe"),
    ({"prompt": PROMPT, "prior_steps": 3}, "does not generate a coarse shape"),
    ({"prompt": PROMPT, "deep_cache": 2}, "has no deep features"),
    ({"prompt": "", "image": square((9, 9, 9)), "views": {90: square((9, 9, 9))}}, "takes one picture"),
    ({"prompt": PROMPT, "mesh": Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], np.int32)), "recipe": "dmv3d"}, "does not")])
def test_what_it_cannot_do_is_refused_before_the_run(pipe, request_, said):
    with pytest.raises(InputError, match=said):
        pipe.stream(**request_)
