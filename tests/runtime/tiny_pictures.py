"""Tiny packs that take a picture: the `instantmesh` recipe, and Sharp-It with an image prior. No training, no PyTorch.

The optional parts of published packs are options here: sampled posteriors, a ControlNet, a density field.
"""

from __future__ import annotations

from pathlib import Path

from tests.runtime.tiny_pack import COLOR, DECODER, ENCODER, GEOMETRY, GRAPHS, LOOP, RECONSTRUCTOR, SHARP_IT, STEP, WEIGHTS, write

# Both halves of the picture's states: zeros, and the picture in 4 by 4 blocks, twice.
IMAGE_ENCODER = """encoder (float[1,3,16,16] image) => (float[2,12,8] states) {
    pooled = AveragePool<kernel_shape = [4, 4], strides = [4, 4]>(image)
    twice = Concat<axis = 1>(pooled, pooled)
    shape = Constant<value = int64[3] {1, 12, 8}>()
    seen = Reshape(twice, shape)
    nothing = Sub(seen, seen)
    states = Concat<axis = 0>(nothing, seen)
}"""
PRIOR_IMAGE_ENCODER = (IMAGE_ENCODER.replace("float[2,12,8]", "float[1,12,8]").replace("seen = Reshape", "states = Reshape")
                       .split("    nothing")[0] + "}")

REFERENCE_ENCODER = """encoder (float[1,3,32,32] image NOISE) => (float[2,4,4,4] reference) {
    pooled = AveragePool<kernel_shape = [8, 8], strides = [8, 8]>(image)
    axis = Constant<value = int64[1] {1}>()
    grey = ReduceMean<keepdims = 1>(pooled, axis)
    four = Concat<axis = 1>(pooled, grey)
    half = Constant<value = float {0.5}>()
    seen = Sub(four, half)
    nothing = Sub(seen, seen)
    both = Concat<axis = 0>(nothing, seen)
    REFERENCE
}"""
SURE = REFERENCE_ENCODER.replace(" NOISE", "").replace("REFERENCE\n", "reference = Identity(both)\n")
SAMPLED = REFERENCE_ENCODER.replace(" NOISE", ", float[2,4,4,4] noise").replace("REFERENCE\n", """tenth = Constant<value = float {0.1}>()
    little = Mul(noise, tenth)
    reference = Add(both, little)\n""")

# The prediction is the reference at the size of the views, and a little of everything else.
LOOK = """axes4 = Constant<value = int64[4] {0, 1, 2, 3}>()
    tenth = Constant<value = float {0.1}>()
    scales = Constant<value = float[4] {1.0, 1.0, 3.0, 2.0}>()
    ref_u, ref_c = Split<axis = 0, num_outputs = 2>(reference)
    look = Resize<mode = "linear">(ref_c, , scales)
    fresh = ReduceMean<keepdims = 0>(reference_noise, axes4)
    sum = Add(guided, fresh)
    both = Add(ripple, sum)
    little = Mul(tenth, both)
    """
VIEWS_STEP = (STEP.replace("SHAPE", "1,4,12,8").replace("EXTRA", ", float[2,4,4,4] reference, float[2,4,4,4] reference_noise CONTROL")
              .replace("PREDICTION", LOOK + "SEEN"))
FREE = VIEWS_STEP.replace(" CONTROL", "").replace("SEEN", "predicted = Add(look, little)")
CONTROLLED = VIEWS_STEP.replace(" CONTROL", ", float[1,3,96,64] control, float control_scale").replace(
    "SEEN", """predicted_free = Add(look, little)
    brightness = ReduceMean<keepdims = 0>(control, axes4)
    push_control = Mul(brightness, control_scale)
    predicted = Add(predicted_free, push_control)""")

# Raw density 10 on the surface of `GEOMETRY`.
DENSITY = (GEOMETRY.replace("(float[1,points,1] sdf, float[1,points,3] deformation)", "(float[1,points,1] density)")
           .replace("deformation = Mul(points, small)", """steep = Constant<value = float {-30.0}>()
    level = Constant<value = float {10.0}>()
    scaled = Mul(sdf, steep)
    density = Add(scaled, level)"""))

NOISY_ENCODER = ENCODER.replace("image)", "image, float[1,4,12,8] noise)", 1).replace(
    "latent = Sub(doubled, one)", """sure = Sub(doubled, one)
    tenth = Constant<value = float {0.1}>()
    little = Mul(noise, tenth)
    latent = Add(sure, little)""")
# Guided by the coarse latents too: what the unconditional half sees has an effect.
TWO_COARSE = (STEP.replace("SHAPE", "1,4,12,8").replace("EXTRA", ", float[2,4,12,8] coarse")
              .replace("PREDICTION", """coarse_u, coarse_c = Split<axis = 0, num_outputs = 2>(coarse)
    tenth = Constant<value = float {0.1}>()
    both = Add(ripple, guided)
    away = Sub(both, coarse_u)
    little = Mul(tenth, away)
    predicted = Add(coarse_c, little)"""))

VIEWS_LOOP = {**LOOP, "unconditional": "encoder", "latent_shape": [1, 4, 12, 8], "steps": 3, "schedule": {
    "kind": "euler-ancestral", "prediction": "v", "betas": "linear", "beta_start": 0.00085, "beta_end": 0.012,
    "train_steps": 1000, "spacing": "trailing"}}
PICTURE = {"background": 1.0, "encoder": {"size": 16, "resample": "bicubic"}, "reference": {"size": 32, "resample": "bilinear"}}
LICENCES = {
    "license": {"id": "CC-BY-NC-4.0", "commercial_use": "no", "notes": ["not for sale"]},
    "sources": [{"name": "views", "license": "CC-BY-NC-4.0", "commercial_use": "no", "file": "a.bin", "sha256": "00"},
                {"name": "views", "license": "CC-BY-NC-4.0", "commercial_use": "no", "file": "b.bin", "sha256": "11"},
                {"name": "mesh", "license": "Apache-2.0", "commercial_use": "yes", "file": "c.ckpt", "sha256": "22"}],
}


def build_instantmesh(folder: Path, *, sampled: bool = False, control: bool = False, density: bool = False) -> Path:
    """sampled : the reference's posterior; control : a ControlNet; density : a NeRF in place of signed distances."""
    graphs = {"image_encoder": IMAGE_ENCODER, "reference_encoder": SAMPLED if sampled else SURE,
              "views_step": CONTROLLED if control else FREE, "vae_decoder": DECODER, "reconstructor": RECONSTRUCTOR}
    field = {"field_density": DENSITY} if density else {"field_geometry": GEOMETRY, "field_weights": WEIGHTS}
    grid = {"resolution": 32, "extent": 2.0, "density_threshold": 10.0} if density else {"resolution": 32, "extent": 2.1}
    return write(folder, {**graphs, **field, "field_color": COLOR},
                 {"recipe": "instantmesh", "picture": PICTURE, "multiview": VIEWS_LOOP, "grid": grid, **LICENCES})


def build_steered(folder: Path, unconditional_coarse: str = "same") -> Path:
    """Sharp-It with a picture for the prior, a prompt for the refiner, and noise in its autoencoder."""
    graphs = {**GRAPHS, "prior_image_encoder": PRIOR_IMAGE_ENCODER, "vae_encoder": NOISY_ENCODER, "refiner_step": TWO_COARSE}
    return write(folder, graphs, {
        **SHARP_IT, "picture": {"background": 1.0, "encoder": PICTURE["encoder"]},
        "prior": {**SHARP_IT["prior"], "unconditional": "zeros"},
        "refiner": {**SHARP_IT["refiner"], "unconditional_coarse": unconditional_coarse}})


BOTH_GRAPHS = {**GRAPHS, "prior_image_encoder": PRIOR_IMAGE_ENCODER, "image_encoder": IMAGE_ENCODER, "reference_encoder": SURE,
               "views_step": FREE}
BOTH = {**SHARP_IT, "picture": PICTURE, "multiview": VIEWS_LOOP, "prior": {**SHARP_IT["prior"], "unconditional_image": "empty"}}


def build_both(folder: Path) -> Path:
    """Prompts and pictures: the tiny Sharp-It pack whose prior follows either, and networks that draw a picture's views."""
    return write(folder, BOTH_GRAPHS, BOTH)
