"""What users give, as the parity check draws it."""

import io

import numpy as np
import pytest

from meshwright.export import tiny
from meshwright.export.inputs import GREY, LATENTS, PICTURES, cut_out_channels


def draw(name, shape, seed=0, cases=PICTURES):
    return cases[name](np.random.default_rng(seed), shape)


@pytest.mark.parametrize(("name", "around"), [("cut-out on white", 1.0), ("cut-out on grey", GREY)])
def test_a_cut_out_stands_in_the_middle_of_one_colour(name, around):
    image = draw(name, (1, 3, 64, 64))
    assert image.dtype == np.float32 and 0 <= image.min() and image.max() <= 1
    bare = (image == np.float32(around)).all(axis=1)[0]
    assert bare.mean() == pytest.approx(1 - np.pi * 0.45**2, abs=0.02)
    assert bare[0].all() and bare[:, 0].all() and not bare[32, 8:-8].any()
    np.testing.assert_allclose(image * 255, np.rint(image * 255), atol=1e-4)  # colours of 8 bits
    assert len(np.unique(image[0, 0][~bare])) == 8


def test_a_grid_of_views_has_an_object_in_each():
    image = draw("cut-out on white", (1, 3, 96, 64))
    objects = [image[0, 0, y + 16, x:x + 32].tolist() for y in (0, 32, 64) for x in (0, 32)]
    assert len({tuple(each) for each in objects}) == 6
    assert (image[0, :, ::32] == 1).all() and draw("cut-out on white", (1, 6, 3, 32, 32)).shape == (1, 6, 3, 32, 32)


def test_white_is_white():
    assert (draw("white", (1, 3, 8, 8)) == 1).all()


def test_latents_of_a_picture_of_one_colour_are_equal_in_each_channel():
    latent = draw("white", (1, 4, 12, 8), cases=LATENTS)
    assert (latent == latent[..., :1, :1]).all() and len(np.unique(latent)) == 4
    around = draw("cut-out on white", (1, 4, 16, 16), cases=LATENTS)
    assert (around[..., 0, :] == around[..., :1, 0]).all() and len(np.unique(around[0, 0])) == 9


def test_the_same_seed_draws_the_same_and_little_is_left_when_compressed():
    np.testing.assert_array_equal(draw("cut-out on grey", (1, 3, 32, 32)), draw("cut-out on grey", (1, 3, 32, 32)))
    assert not np.array_equal(draw("cut-out on grey", (1, 3, 32, 32)), draw("cut-out on grey", (1, 3, 32, 32), seed=1))
    stream = io.BytesIO()
    rng = np.random.default_rng(0)
    np.savez_compressed(stream, image=draw("cut-out on white", (1, 3, 960, 640)), latent=cut_out_channels(rng, (1, 4, 120, 80)))
    assert len(stream.getvalue()) < 60_000  # of 7.5 million bytes


def test_every_component_that_sees_a_picture_or_its_latents_is_tried_on_them():
    found = {spec.kind: spec.named_cases() for spec in tiny.components()}
    pictures = ["cut-out on white", "cut-out on grey", "white"]
    assert found["vae_encoder"] == found["reconstructor"] == pictures
    assert found["vae_decoder"] == ["cut-out on white", "white"] and found["refiner_step"] == ["cut-out on white", "one half"]
    assert found["text_encoder"] == ["empty prompt"]
    assert found["field_geometry"] == found["field_weights"] == found["field_color"] == ["equal values"]
    assert found["prior_step"] == ["one half"]
    assert found["shap_e_params"] == found["shap_e_field"] == []
