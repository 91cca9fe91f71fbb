"""Picture to mesh through voxels, on a tiny pack whose diffusions predict a ball."""

import numpy as np
import pytest

from meshwright.engines.errors import InputError, PackFormat
from meshwright.runtime import CoarseMesh, Picture, Pipeline, Request, Result, StageStarted, Step, Surface, Views
from meshwright.runtime.geometry.topology import is_watertight
from meshwright.runtime.pack.pack import Pack
from meshwright.runtime.recipes.routes import choose_route
from tests.runtime.tiny_voxels import BUCKETS, EXTENT, RADIUS, RESOLUTION, build_all_recipes, build_voxels

FAST = {"texture": 64, "faces": 2000}
STAGES = ("picture", "views", "occupancy", "voxels", "surface", "texture")
PICTURE = Picture.of(np.random.default_rng(0).integers(0, 256, (40, 30, 4), np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_voxels(tmp_path_factory.mktemp("packs") / "voxels")


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    return Pack.open(build_all_recipes(tmp_path_factory.mktemp("packs") / "every"))


@pytest.fixture(scope="module")
def events(folder):
    with Pipeline.open(folder, threads=1) as pipe:
        assert pipe.stages == STAGES
        return list(pipe.stream(image=PICTURE, seed=3, **FAST))


def test_stages_steps_and_early_results_come_in_order(events):
    assert tuple(e.stage for e in events if isinstance(e, StageStarted)) == STAGES
    assert [type(e) for e in events if isinstance(e, Views | CoarseMesh | Surface | Result)] == [Views, CoarseMesh, Surface, Result]
    steps = [(e.stage, e.total) for e in events if isinstance(e, Step)]
    assert steps == [*[("views", 3)] * 3, *[("occupancy", 3)] * 3, *[("voxels", 3)] * 3]


def test_the_mesh_is_the_ball_that_both_diffusions_predict(events):
    made = events[-1].generation
    assert np.abs(np.linalg.norm(made.stages.surface.vertices, axis=1) - RADIUS).max() < 0.03
    assert np.abs(np.linalg.norm(made.mesh.vertices, axis=1) - RADIUS).max() < 0.06
    assert is_watertight(made.mesh) and made.mesh.signed_volume > 0 and made.mesh.texture.shape == (64, 64, 3)


def test_the_coarse_mesh_is_the_shell_and_what_it_encloses(events):
    coarse = next(e.mesh for e in events if isinstance(e, CoarseMesh))
    assert is_watertight(coarse)
    assert RADIUS < np.linalg.norm(coarse.vertices, axis=1).mean() < RADIUS + 2 * EXTENT / RESOLUTION


def test_colours_of_the_field_are_those_of_its_voxels(folder):
    with Pipeline.open(folder, threads=1) as pipe:
        made = pipe.generate(image=PICTURE, seed=3, texture_from="field", **FAST)
    used = made.mesh.texture.reshape(-1, 3)[made.mesh.texture.reshape(-1, 3).any(axis=1)]
    np.testing.assert_allclose(np.median(used, axis=0), [230, 26, 26], atol=2)
    assert made.extras["options"]["texture_from"] == "field"


def test_without_a_texture_vertices_have_the_voxels_colours(folder):
    with Pipeline.open(folder, threads=1) as pipe:
        made = pipe.generate(image=PICTURE, seed=3, faces=500, textured=False)
    assert made.mesh.texture is None
    np.testing.assert_allclose(np.median(made.mesh.colors[:, :3], axis=0), [230, 26, 26], atol=2)


def test_every_bucket_gives_the_same_mesh(events, tmp_path):
    with Pipeline.open(build_voxels(tmp_path / "large", buckets=[BUCKETS[-1]]), threads=1) as pipe:
        other = pipe.generate(image=PICTURE, seed=3, **FAST)
    surface = events[-1].generation.stages.surface
    np.testing.assert_array_equal(other.stages.surface.faces, surface.faces)
    np.testing.assert_allclose(other.stages.surface.vertices, surface.vertices, atol=1e-6)


def test_more_voxels_than_there_is_room_for_are_refused(tmp_path):
    with (Pipeline.open(build_voxels(tmp_path / "small", buckets=[4, 8]), threads=1) as pipe,
          pytest.raises(InputError, match="more voxels than the pack has room for")):
        pipe.generate(image=PICTURE, seed=3, **FAST)


def test_closing_the_stream_between_two_steps_ends_the_run(folder):
    with Pipeline.open(folder, threads=1) as pipe:
        stream = pipe.stream(image=PICTURE, seed=3, **FAST)
        for event in stream:
            if isinstance(event, Step) and event.stage == "voxels":
                break
        stream.close()
        assert pipe.generate(image=PICTURE, seed=3, **FAST).mesh.faces.any()


def test_a_pack_names_its_recipes_and_a_request_picks_one(every):
    assert every.manifest.recipes == ("sharp-it", "instantmesh", "one-2-3-45")
    routes = {recipe: choose_route(Request(image=PICTURE, recipe=recipe), every.manifest) for recipe in (None, *every.manifest.recipes)}
    assert routes == {None: "views", "sharp-it": "coarse", "instantmesh": "views", "one-2-3-45": "voxels"}
    assert choose_route(Request("a chair", recipe="sharp-it"), every.manifest) == "text"
    assert choose_route(Request(image=PICTURE, route="voxels"), every.manifest) == "voxels"


@pytest.mark.parametrize("options, message", [
    ({"prompt": "a chair", "recipe": "one-2-3-45"}, "does not start from this; received a prompt; expected a picture"),
    ({"prompt": "a chair", "image": PICTURE, "recipe": "one-2-3-45"}, "received a picture and a prompt; expected a picture"),
    ({"image": PICTURE, "recipe": "one-2-3-45", "route": "views"}, "received a picture, route views"),
    ({"image": PICTURE, "route": "voxels", "prior_steps": 3}, "does not generate a coarse shape"),
    ({"image": PICTURE, "route": "voxels", "texture_seed": 3}, "draws shape and look together")])
def test_a_recipe_is_refused_what_it_does_not_start_from(every, options, message):
    with pytest.raises(InputError, match=message):
        choose_route(Request(**options), every.manifest)


def test_recipes_that_a_pack_or_this_release_lacks_are_refused(pipe):
    with pytest.raises(InputError, match="has no such recipe; received one-2-3-45; expected sharp-it"):
        choose_route(Request(image=PICTURE, recipe="one-2-3-45"), pipe.pack.manifest)
    with pytest.raises(InputError, match="the recipe is unknown"):
        Request("a chair", recipe="sculpture")


@pytest.mark.parametrize("section, message", [({"buckets": [512, 128]}, "do not ascend"), ({"buckets": []}, "do not ascend"),
                                              ({"levels": 6}, "cannot be halved"), ({"truncation": 0}, "truncation")])
def test_grids_that_make_no_sense_are_refused(tmp_path, section, message):
    with pytest.raises(PackFormat, match=message):
        Pack.open(build_voxels(tmp_path / "bad", **section))
