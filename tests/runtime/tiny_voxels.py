"""A tiny pack of the `one-2-3-45` recipe, without PyTorch: whatever the picture, both diffusions predict one ball."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.runtime.tiny_pack import DECODER, STEP, write
from tests.runtime.tiny_pictures import BOTH, BOTH_GRAPHS, FREE, IMAGE_ENCODER, LICENCES, PICTURE, SURE, VIEWS_LOOP

RESOLUTION, EXTENT, RADIUS, TRUNCATION = 8, 2.0, 0.6, 0.25
BUCKETS = (128, 512)


def ball() -> str:
    """The shell of a ball of RADIUS, coded as -1 and 1, as the values of a constant."""
    axis = ((np.arange(RESOLUTION) + 0.5) / RESOLUTION - 0.5) * EXTENT
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2) - RADIUS
    return ", ".join(f"{value:.1f}" for value in np.where(np.abs(distance) < 0.3, 1.0, -1.0).ravel())


CONDITION_VOLUME = f"""condition (float[1,6,3,32,32] views, float[1,6,{RESOLUTION**3},3] where) => (float[2,1,4] states,
    float[2,1,{RESOLUTION},{RESOLUTION},{RESOLUTION}] volume_0) {{
    views_mean = ReduceMean<keepdims = 0>(views)
    where_mean = ReduceMean<keepdims = 0>(where)
    zero = Constant<value = float {{0.0}}>()
    sum = Add(views_mean, where_mean)
    still = Mul(sum, zero)
    shape = Constant<value = int64[3] {{2, 1, 4}}>()
    states = Expand(still, shape)
    ball = Constant<value = float[1,1,{RESOLUTION},{RESOLUTION},{RESOLUTION}] {{{ball()}}}>()
    seen = Add(ball, still)
    nothing = Sub(seen, seen)
    volume_0 = Concat<axis = 0>(nothing, seen)
}}"""
OCCUPANCY_STEP = (STEP.replace("SHAPE", f"1,1,{RESOLUTION},{RESOLUTION},{RESOLUTION}").replace("float[2,T,D]", "float[2,1,4]")
                  .replace("EXTRA", f", float[2,1,{RESOLUTION},{RESOLUTION},{RESOLUTION}] volume_0")
                  .replace("PREDICTION", """shape_u, shape_c = Split<axis = 0, num_outputs = 2>(volume_0)
    small = Constant<value = float {0.01}>()
    little = Mul(small, ripple)
    states_part = Mul(small, guided)
    both = Add(little, states_part)
    predicted = Add(shape_c, both)"""))
# The condition is the voxels' place, from which the step makes the distance; the colour is red.
CONDITION_VOXELS = """condition (float[1,6,3,32,32] views, float[1,6,voxels_0,3] where, float[1,voxels_0,3] points) =>
    (float[2,1,4] states, float[2,voxels_0,3] condition, float[2,voxels_0,18] colors) {
    views_mean = ReduceMean<keepdims = 0>(views)
    zero = Constant<value = float {0.0}>()
    still = Mul(views_mean, zero)
    shape = Constant<value = int64[3] {2, 1, 4}>()
    states = Expand(still, shape)
    condition = Concat<axis = 0>(points, points)
    twice = Concat<axis = 2>(points, points)
    four = Concat<axis = 2>(twice, twice)
    six = Concat<axis = 2>(four, twice)
    colors = Concat<axis = 0>(six, six)
}"""


def sparse_step() -> str:
    """Three levels of tables, none of which the prediction needs, but all are looked at."""
    inputs = ["float[2,voxels_0,3] condition", "float[2,voxels_0,18] colors", *(f"float[voxels_{i},1] active_{i}" for i in range(3)),
              *(f"int64[voxels_{i},27] neighbours_{i}" for i in range(3)),
              *(f"int64[voxels_{i + 1},8] children_{i}" for i in range(2)), *(f"int64[voxels_{i}] parents_{i}" for i in range(2))]
    tables = [part.split()[1] for part in inputs[2:]]
    looked_at = "\n    ".join(f"{name}_float = Cast<to = 1>({name})\n    {name}_mean = ReduceMean<keepdims = 0>({name}_float)"
                             for name in tables)
    return (STEP.replace("SHAPE", "1,voxels_0,4").replace("float[2,T,D]", "float[2,1,4]").replace("EXTRA", ", " + ", ".join(inputs))
            .replace("PREDICTION", f"""{looked_at}
    colors_mean = ReduceMean<keepdims = 0>(colors)
    every = Sum({", ".join(f"{name}_mean" for name in tables)}, colors_mean)
    nought = Constant<value = float {{0.0}}>()
    nothing = Mul(every, nought)
    places_u, places_c = Split<axis = 0, num_outputs = 2>(condition)
    last = Constant<value = int64[1] {{2}}>()
    away = ReduceL2<keepdims = 1>(places_c, last)
    half = Constant<value = float {{{EXTENT / 2}}}>()
    length = Mul(away, half)
    radius = Constant<value = float {{{RADIUS}}}>()
    distance = Sub(length, radius)
    truncation = Constant<value = float {{{TRUNCATION}}}>()
    value = Div(distance, truncation)
    full = Constant<value = float {{0.8}}>()
    flat = Mul(value, nought)
    red = Add(flat, full)
    dark = Sub(flat, full)
    four = Concat<axis = 2>(value, red, dark, dark)
    small = Constant<value = float {{0.001}}>()
    trace = Mul(small, ripple)
    guide = Mul(small, guided)
    trace_sum = Add(trace, guide)
    nearly = Add(four, trace_sum)
    predicted = Add(nearly, nothing)"""))


GRAPHS = {"condition_volume": CONDITION_VOLUME, "occupancy_step": OCCUPANCY_STEP, "condition_voxels": CONDITION_VOXELS,
          "sparse_step": sparse_step()}
LOOP = {"schedule": {"kind": "log-snr-ancestral"}, "steps": 3, "guidance": 1.0, "unconditional": "encoder"}
SECTIONS = {"occupancy": {**LOOP, "latent_shape": [1, 1, RESOLUTION, RESOLUTION, RESOLUTION]},
            "sparse": {**LOOP, "latent_shape": [1, 8 * BUCKETS[0], 4]},
            "voxels": {"resolution": RESOLUTION, "extent": EXTENT, "levels": 3, "buckets": list(BUCKETS), "truncation": TRUNCATION}}


def build_voxels(folder: Path, **voxels: object) -> Path:
    """That recipe alone. voxels : entries of that section in pack.json in place of its own"""
    graphs = {"image_encoder": IMAGE_ENCODER, "reference_encoder": SURE, "views_step": FREE, "vae_decoder": DECODER, **GRAPHS}
    sections = {**SECTIONS, "voxels": {**SECTIONS["voxels"], **voxels}}
    return write(folder, graphs, {"recipe": "one-2-3-45", "picture": PICTURE, "multiview": VIEWS_LOOP, **LICENCES, **sections})


def build_all_recipes(folder: Path) -> Path:
    """Beside the recipes of `build_both`."""
    return write(folder, {**BOTH_GRAPHS, **GRAPHS}, {**BOTH, **SECTIONS, "recipes": ["sharp-it", "instantmesh", "one-2-3-45"]})
