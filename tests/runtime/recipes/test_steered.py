"""What published Sharp-It packs have beyond the bundled one: a picture for the prior, noise, coarse latents for both halves."""

from dataclasses import replace

import numpy as np
import pytest

from meshwright.runtime import InputError, Picture, Pipeline
from meshwright.runtime.diffusion.noise import normal
from meshwright.runtime.geometry.cameras import orbit
from meshwright.runtime.images.pictures import preprocess
from meshwright.runtime.pack.manifest import Coarse
from meshwright.runtime.recipes import drawing, rebuild, sharp_it
from tests.runtime.pack.test_pack import edit
from tests.runtime.tiny_pack import build
from tests.runtime.tiny_pictures import build_steered

FAST = {"texture": 64, "faces": 500}
PICTURE = Picture.of(np.random.default_rng(0).integers(0, 256, (40, 30, 4), np.uint8))
DARK = Picture.of(PICTURE.pixels // np.array([2, 2, 2, 1], np.uint8))


@pytest.fixture(scope="module", params=["same", "zeros", "zero-image"])
def steered(request, tmp_path_factory):
    """A pipeline on the tiny pack with a picture for its prior."""
    with Pipeline.open(build_steered(tmp_path_factory.mktemp("packs") / "tiny", request.param), threads=1) as pipe:
        yield pipe


def drained(stage):
    """What a stage returns; its events are dropped."""
    while True:
        try:
            next(stage)
        except StopIteration as end:
            return end.value


def test_the_picture_shapes_and_the_prompt_paints(steered):
    options = {"seed": 3, "prior_guidance": 0.3, **FAST}  # little guidance keeps the latents inside of their clamp
    plain = steered.generate(image=PICTURE, **options)
    red = steered.generate("a red chair", image=PICTURE, **options)
    other = steered.generate(image=DARK, **options)
    np.testing.assert_array_equal(red.stages.coarse_mesh.vertices, plain.stages.coarse_mesh.vertices)
    assert not np.array_equal(red.stages.views, plain.stages.views)
    assert not np.array_equal(other.stages.coarse_mesh.vertices, plain.stages.coarse_mesh.vertices)
    assert plain.extras["prompt"] == "" and plain.extras["image"]["sha256"] == PICTURE.sha256


def test_conditions(steered):
    """The prior's unconditional half is zeros; an empty prompt gives the refiner the empty prompt's states."""
    prior, refiner = drained(sharp_it.encode_conditions(steered.models, PICTURE, ""))
    seen = steered.models.run("prior_image_encoder", image=preprocess(PICTURE, 1.0, steered.pack.manifest.picture.encoder))["states"]
    np.testing.assert_array_equal(prior, np.concatenate([np.zeros_like(seen), seen]))
    np.testing.assert_array_equal(refiner[0], refiner[1])


def test_coarse_latents_of_both_halves(steered):
    picture = np.random.default_rng(1).random((96, 64, 3), np.float32)
    uncond, cond = drawing.encode_coarse(steered.models, picture, 7)
    image = picture.transpose(2, 0, 1)[None].copy()

    def encoded(image, stream):
        return steered.models.run("vae_encoder", image=image, noise=normal(7, stream, (1, 4, 12, 8)))["latent"][0]

    np.testing.assert_array_equal(cond, encoded(image, "coarse-encoder"))
    grey = encoded(np.full_like(image, 0.5), "coarse-encoder/unconditional")
    expected = {"same": cond, "zeros": np.zeros_like(cond), "zero-image": grey}
    np.testing.assert_array_equal(uncond, expected[steered.pack.manifest.refiner.unconditional_coarse])


def test_it_needs_a_picture(steered):
    with pytest.raises(InputError, match="makes meshes from pictures"):
        steered.stream("a red chair")


def test_one_encoder_a_loop(tmp_path):
    """A prior text encoder of its own serves the prior alone, each encoder with its own tokenizer."""
    from tests.runtime.tiny_pack import GRAPHS, SHARP_IT, TEXT, write

    graphs = {**GRAPHS, "prior_text_encoder": TEXT.replace("0.3, -0.5", "0.6, -0.5")}
    sections = {**SHARP_IT, "prior_text": SHARP_IT["text"], "prior": {**SHARP_IT["prior"], "unconditional": "zeros"}}
    with Pipeline.open(write(tmp_path / "tiny", graphs, sections), threads=1) as pipe:
        prior, refiner = drained(sharp_it.encode_text(pipe.models, "a red chair"))
        tokens = pipe.models.tokenizer("text_encoder").encode_prompt("a red chair")
        empty = pipe.models.tokenizer("text_encoder").encode("")
        np.testing.assert_array_equal(prior[1:], pipe.models.embeddings("prior_text_encoder", tokens))
        assert not prior[0].any()
        np.testing.assert_array_equal(refiner[1:], pipe.models.embeddings("text_encoder", tokens))
        np.testing.assert_array_equal(refiner[:1], pipe.models.embeddings("text_encoder", empty))
        assert not np.array_equal(prior[1], refiner[1])


def test_the_coarse_mesh_shrinks_and_is_coloured_where_it_then_is(tmp_path, pipe):
    """Shap-E's decoder maps 130 samples to 128 places: 127/129 of the size. The colour there is half the point plus a half."""
    folder = build(tmp_path / "tiny")
    edit(folder, coarse__shrink=127 / 129)
    latent = np.zeros((1, 8, 4), np.float32)
    with Pipeline.open(folder, threads=1) as small:
        downscaled, whole = (sharp_it.decode_coarse_mesh(p.models, latent) for p in (small, pipe))
    np.testing.assert_allclose(downscaled.vertices, whole.vertices * (127 / 129), rtol=1e-6)
    np.testing.assert_allclose(downscaled.colors, 255 * (downscaled.vertices / 2 + 0.5), atol=0.51)


def test_into_the_worlds_axes(pipe):
    """A quarter about z and a scale, as from Shap-E's cameras to the reconstructor's: front -y becomes front +x."""
    turn = Coarse(24, 1.0, ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)), 4 / 3.7321)
    mesh = sharp_it.decode_coarse_mesh(pipe.models, np.zeros((1, 8, 4), np.float32))
    point = mesh.replace(vertices=np.array([[0.0, -0.5, 0.1]], np.float32))
    np.testing.assert_allclose(sharp_it.into_world(point, turn).vertices, [[0.53589, 0.0, 0.10718]], atol=1e-5)


@pytest.mark.parametrize("turned", [False, True])
def test_the_finished_surface_stays_near_the_coarse_one_if_the_pack_says_so(tmp_path, pipe, turned):
    folder, latent = build(tmp_path / "tiny"), np.zeros((1, 8, 4), np.float32)
    axes = {"coarse__rotation": [[0, -1, 0], [1, 0, 0], [0, 0, 1]], "coarse__scale": 1.2, "coarse__shrink": 0.9} if turned else {}
    edit(folder, coarse__deviation={"truncation": 0.5, "most": 0.05}, **axes)
    with Pipeline.open(folder, threads=1) as small:
        bounds, mesh = sharp_it.coarse_bounds(small.models, latent), sharp_it.decode_coarse_mesh(small.models, latent)
        low, high = bounds(mesh.vertices)
        np.testing.assert_allclose(high - low, 0.1, atol=1e-6)
        assert np.abs(low + high).max() / 2 < 0.02, "on the coarse surface the distance is zero"
        assert (bounds(np.zeros((1, 3), np.float32))[1] < 0).all(), "its middle is not to be hollowed out"
        views = small.pack.manifest.views
        cameras = orbit(views.azimuths, views.elevations, views.radius, views.fov)
        seen = drawing.coarse_views(small.pack.manifest, mesh, cameras)
        field = rebuild.reconstruct(small.models, seen, cameras)
        points = np.random.default_rng(0).uniform(-1, 1, (50, 3)).astype(np.float32)
        free, held = field.geometry(points), replace(field, bounds=bounds).geometry(points)
        np.testing.assert_allclose(held["sdf"], np.clip(free["sdf"], *bounds(points)))
        np.testing.assert_array_equal(held["deformation"], free["deformation"])
        low, high = bounds(points)
        far = (low >= 0.1) | (high <= -0.1)
        assert 0 < far.sum() < 50
        asked = replace(field, bounds=bounds, near=0.1).geometry(points)
        np.testing.assert_array_equal(asked["sdf"], np.where(far, np.where(low > 0, low, high), held["sdf"]))
        np.testing.assert_array_equal(asked["deformation"], np.where(far[:, None], 0, held["deformation"]))
        nowhere = replace(field, bounds=bounds, near=-9.0).geometry(points)
        np.testing.assert_array_equal(nowhere["sdf"], np.where(low > 0, low, high))
        assert small.generate("a red chair", seed=3, **FAST).mesh.faces.size
    assert sharp_it.coarse_bounds(pipe.models, latent) is None


def test_the_packs_light_falls_on_the_coarse_views(tmp_path, pipe):
    folder = build(tmp_path / "tiny")
    edit(folder, views__shading={"ambient": 0.3, "diffuse": 0.7, "direction": [0.0, 0.0, 2.0], "two_sided": True, "linear": True})
    with Pipeline.open(folder, threads=1) as lit:
        views, ours = (p.generate("a red chair", seed=3, **FAST).stages.coarse_views for p in (lit, pipe))
        assert lit.pack.manifest.views.shading.direction == (0.0, 0.0, 1.0)
    background = (ours == 1).all(axis=-1)
    np.testing.assert_array_equal(views[background], ours[background])
    assert np.abs(views - ours)[~background].mean() > 0.03
