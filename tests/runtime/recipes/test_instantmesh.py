"""Picture to mesh on tiny packs: stages, determinism, and the parts that only some packs have."""

import json

import numpy as np
import pytest
from PIL import Image

from meshwright.runtime import InputError, Picture, Pipeline, Result, StageDone, StageStarted, Step, Surface, Views
from meshwright.runtime.diffusion.noise import normal
from meshwright.runtime.geometry.topology import is_watertight
from meshwright.runtime.images import Matting, crop_object
from meshwright.runtime.images.pictures import preprocess
from tests.runtime.tiny_pictures import build_instantmesh

FAST = {"texture": 64, "faces": 500}
STAGES = ("picture", "views", "reconstruction", "surface", "texture")
PICTURE = Picture.of(np.random.default_rng(0).integers(0, 256, (40, 30, 4), np.uint8))
CONTROL = Picture.of(np.random.default_rng(1).integers(0, 256, (48, 32, 3), np.uint8))


@pytest.fixture(scope="module")
def open_pack(tmp_path_factory):
    """Opens a tiny instantmesh pack with some of its options."""
    opened = {}

    def open_it(**options):
        key = tuple(sorted(options))
        if key not in opened:
            folder = build_instantmesh(tmp_path_factory.mktemp("packs") / "tiny", **options)
            opened[key] = Pipeline.open(folder, threads=1)
        return opened[key]

    yield open_it
    for pipe in opened.values():
        pipe.close()


@pytest.fixture(scope="module")
def events(open_pack):
    return list(open_pack().stream(image=PICTURE, seed=3, **FAST))


@pytest.fixture(scope="module")
def made(events):
    return events[-1].generation


def test_stages_come_in_order(open_pack, events):
    assert open_pack().stages == STAGES
    assert tuple(e.stage for e in events if isinstance(e, StageStarted)) == STAGES
    assert tuple(e.stage for e in events if isinstance(e, StageDone)) == STAGES
    assert [type(e) for e in events if isinstance(e, Views | Surface | Result)] == [Views, Surface, Result]
    assert [e for e in events if isinstance(e, Step)] == [Step("views", i, 3) for i in (1, 2, 3)]


def test_the_mesh_is_the_field(made):
    """An ellipsoid with a bump at (0.5, 0.1, 0.2): front, left, up."""
    low, high = made.mesh.bounds
    assert abs(high[0] - 0.75) < 0.03 and abs(low[0] + 0.38) < 0.03
    assert is_watertight(made.mesh) and made.mesh.signed_volume > 0
    assert 4 <= len(made.mesh.faces) <= 500 and made.mesh.texture.shape == (64, 64, 3)


def test_early_results_have_no_coarse_shape(made, tmp_path):
    assert made.stages.coarse_mesh is None and made.stages.coarse_views is None
    assert made.stages.views.shape == (6, 32, 32, 3)
    assert {path.name for path in made.encode_stages(tmp_path)} == {
        "matte.png", "crop.png", "surface.ply", *(f"view_{i}.png" for i in range(6))}


def test_the_file_tells_of_the_picture_and_the_licences(made):
    extras = json.loads(json.dumps(made.extras))
    assert extras["image"] == {"sha256": PICTURE.sha256, "width": 30, "height": 40} and extras["prompt"] == ""
    assert extras["options"] == {"steps": 3, "guidance": 2.0, "faces": 500, "texture": 64, "texture_from": "views"}
    assert extras["license"] == {"id": "CC-BY-NC-4.0", "commercial_use": "no", "notes": ["not for sale"]}
    assert extras["sources"] == [{"name": "views", "license": "CC-BY-NC-4.0", "commercial_use": "no"},
                                 {"name": "mesh", "license": "Apache-2.0", "commercial_use": "yes"}]


def test_same_picture_same_views(open_pack, made):
    again = open_pack().generate(image=Picture.of(PICTURE.pixels.copy()), seed=3, **FAST)
    np.testing.assert_array_equal(again.stages.views, made.stages.views)
    np.testing.assert_array_equal(again.mesh.vertices, made.mesh.vertices)


@pytest.mark.parametrize("change", [{"seed": 4}, {"steps": 5}, {"guidance": 7.5}, {"image": Picture.of(PICTURE.pixels[::-1].copy())}],
                         ids=["seed", "steps", "guidance", "image"])
def test_options_change_the_views(open_pack, made, change):
    other = open_pack().generate(**({"image": PICTURE, "seed": 3} | FAST | change))
    assert not np.array_equal(other.stages.views, made.stages.views)


def test_each_step_has_reference_noise_of_its_own(open_pack, monkeypatch):
    """What the engine is given: noise of the stream "reference/step", one slice a step, for both halves."""
    pipe, given = open_pack(), {}
    engine = pipe.models.engine("views_step")
    scan = type(engine).scan

    def watch(self, carry, per_step, constants, **options):
        given.update({**per_step, **constants})
        return scan(self, carry, per_step, constants, **options)

    monkeypatch.setattr(type(engine), "scan", watch)
    pipe.generate(image=PICTURE, seed=3, **FAST)
    np.testing.assert_array_equal(given["reference_noise"], normal(3, "reference/step", (3, 2, 4, 4, 4)))
    assert given["noise"].shape == (3, 1, 4, 12, 8) and given["noise"].any()
    pack = pipe.pack.manifest
    crop = crop_object(Matting().foreground(PICTURE))
    np.testing.assert_array_equal(given["states"], pipe.models.run(
        "image_encoder", image=preprocess(crop, 1.0, pack.picture.encoder))["states"])
    np.testing.assert_array_equal(given["reference"], pipe.models.run(
        "reference_encoder", image=preprocess(crop, 1.0, pack.picture.reference))["reference"])


def test_a_sampled_reference_depends_on_the_seed_alone(open_pack):
    from meshwright.runtime.recipes.instantmesh import encode_picture
    models, plain = open_pack(sampled=True).models, open_pack().models
    first, again, other = (encode_picture(models, PICTURE, seed)["reference"] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    sure = encode_picture(plain, PICTURE, 3)["reference"]
    np.testing.assert_allclose(first - sure, 0.1 * normal(3, "reference", (2, 4, 4, 4)), atol=1e-6)


def test_control(open_pack, made):
    pipe = open_pack(control=True)
    plain = pipe.generate(image=PICTURE, seed=3, **FAST)
    np.testing.assert_array_equal(plain.stages.views, made.stages.views)  # without a control picture it has no effect
    assert "control_scale" not in plain.extras["options"]
    drawn = pipe.generate(image=PICTURE, control=CONTROL, seed=3, **FAST)
    less = pipe.generate(image=PICTURE, control=CONTROL, control_scale=0.25, seed=3, **FAST)
    none = pipe.generate(image=PICTURE, control=CONTROL, control_scale=0, seed=3, **FAST)
    np.testing.assert_array_equal(none.stages.views, made.stages.views)
    assert 0 < np.abs(less.stages.views - plain.stages.views).mean() < np.abs(drawn.stages.views - plain.stages.views).mean()
    assert drawn.extras["control"]["sha256"] == CONTROL.sha256
    assert drawn.extras["options"]["control_scale"] == 1.0 and less.extras["options"]["control_scale"] == 0.25


def test_a_control_picture_of_another_shape(open_pack):
    with pytest.raises(InputError, match="does not fit over the grid of views; received 30 by 40"):
        open_pack(control=True).generate(image=PICTURE, control=PICTURE, **FAST)


def test_a_density_field_has_the_same_surface(open_pack, made):
    """By plain dual marching cubes at the threshold, closed, facing outwards; colours from its own field."""
    dense = open_pack(density=True).generate(image=PICTURE, seed=3, texture_from="field", **FAST)
    assert is_watertight(dense.mesh) and dense.mesh.signed_volume > 0
    np.testing.assert_allclose(dense.mesh.bounds, made.mesh.bounds, atol=0.04)
    assert dense.mesh.texture.std() > 5


@pytest.mark.parametrize(("options", "message"), [
    ({"prompt": "a red chair"}, "makes meshes from pictures; received a prompt alone; expected a picture; give one with --image"),
    ({"prompt": "a red chair", "image": PICTURE}, "takes no prompts; received 'a red chair'; expected a picture alone"),
    ({"image": PICTURE, "control": CONTROL}, "has no ControlNet"),
    ({"image": PICTURE, "prior_steps": 3}, "does not generate a coarse shape"),
    ({"image": PICTURE, "prior_guidance": 3.0}, "does not generate a coarse shape"),
    ({"image": "mug.png"}, "the picture mug.png cannot be read"),
    ({}, "the prompt is empty; describe what to make, .* or give a picture"),
], ids=["prompt", "both", "control", "prior-steps", "prior-guidance", "path", "nothing"])
def test_requests_that_do_not_fit(open_pack, options, message):
    """Refused at once, before the first event is asked for."""
    with pytest.raises(InputError, match=message):
        open_pack().stream(**options)


def test_a_prompt_pack_takes_no_picture(pipe):
    with pytest.raises(InputError, match="pack tiny makes meshes from prompts; received a picture"):
        pipe.stream("a red chair", image=PICTURE)
    with pytest.raises(InputError, match="has no ControlNet"):
        pipe.stream("a red chair", control=CONTROL)


def test_a_picture_may_be_a_file(open_pack, made, tmp_path):
    Image.fromarray(PICTURE.pixels).save(tmp_path / "mug.png")
    for path in (tmp_path / "mug.png", str(tmp_path / "mug.png")):
        again = open_pack().generate(image=path, seed=3, **FAST)
        np.testing.assert_array_equal(again.stages.views, made.stages.views)
