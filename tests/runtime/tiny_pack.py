"""Writes a complete `sharp-it` pack of hand-made graphs: kilobytes, no training, no PyTorch, a shape known in advance.

The coarse field is a ball, the final one an ellipsoid with a bump on its front, so that a mirrored or turned
mesh shows. The loops are real step models whose network is arithmetic on the token states.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser

WORDS = ("a", "red", "blue", "chair", "table", "with", "white", "legs", "##s", ",", ".", "cafe")
TOKENS, WIDTH = 12, 8
PRIOR_SHAPE, REFINER_SHAPE = (1, 8, 4), (1, 4, 12, 8)

TEXT = """text (int64[batch,12] input_ids, int64[batch,12] attention_mask) => (float[batch,12,8] states) {
    spread = Constant<value = float[8] {0.3, -0.5, 0.7, 1.1, -1.3, 1.7, -1.9, 2.3}>()
    last = Constant<value = int64[1] {-1}>()
    ids = Cast<to = 1>(input_ids)
    column = Unsqueeze(ids, last)
    angle = Mul(column, spread)
    wave = Sin(angle)
    mask = Cast<to = 1>(attention_mask)
    open = Unsqueeze(mask, last)
    states = Mul(wave, open)
}"""

# Both halves of guidance see the token states alone; the refiner's prediction is the coarse latents and a little of it.
STEP = """step (float[SHAPE] latent, float[SHAPE] previous, float[9] row, float[SHAPE] noise, float[2,T,D] states EXTRA)
    => (float[SHAPE] latent_next, float[SHAPE] previous_next) {
    axes = Constant<value = int64[2] {1, 2}>()
    t, scale, from_x, from_output, a, b, c, k, w = Split<axis = 0, num_outputs = 9>(row)
    mean = ReduceMean<keepdims = 0>(states, axes)
    uncond, cond = Split<axis = 0, num_outputs = 2>(mean)
    apart = Sub(cond, uncond)
    push = Mul(w, apart)
    guided = Add(uncond, push)
    scaled = Mul(scale, latent)
    ripple = Sin(scaled)
    PREDICTION
    zero = Constant<value = float {0.0}>()
    still = Mul(t, zero)
    m = Add(predicted, still)
    x_part = Mul(from_x, latent)
    m_part = Mul(from_output, m)
    raw = Add(x_part, m_part)
    low = Constant<value = float {-1.0}>()
    high = Constant<value = float {1.0}>()
    previous_next = Clip(raw, low, high)
    ax = Mul(a, latent)
    bx = Mul(b, previous_next)
    cx = Mul(c, previous)
    kx = Mul(k, noise)
    axbx = Add(ax, bx)
    ck = Add(cx, kx)
    latent_next = Add(axbx, ck)
}"""
PRIOR = (STEP.replace("SHAPE", "1,8,4").replace("EXTRA", "")
         .replace("PREDICTION", "predicted = Add(ripple, guided)"))
REFINER = (STEP.replace("SHAPE", "1,4,12,8").replace("EXTRA", ", float[1,4,12,8] coarse")
           .replace("PREDICTION", """tenth = Constant<value = float {0.1}>()
    both = Add(ripple, guided)
    little = Mul(tenth, both)
    predicted = Add(coarse, little)"""))

PARAMS = """params (float[1,8,4] latent) => (float[1,2,4] weight_0, float[1,2,4] weight_1, float[1,2,4] weight_2,
    float[1,2,4] weight_3) { weight_0, weight_1, weight_2, weight_3 = Split<axis = 1, num_outputs = 4>(latent) }"""

COARSE_FIELD = """field (float[1,2,4] weight_0, float[1,2,4] weight_1, float[1,2,4] weight_2, float[1,2,4] weight_3,
    float[1,points,3] points) => (float[1,points,1] sdf, float[1,points,3] color) {
    last = Constant<value = int64[1] {2}>()
    all = Sum(weight_0, weight_1, weight_2, weight_3)
    mean = ReduceMean<keepdims = 0>(all)
    bounded = Tanh(mean)
    small = Constant<value = float {0.02}>()
    change = Mul(bounded, small)
    base = Constant<value = float {0.6}>()
    radius = Add(base, change)
    distance = ReduceL2<keepdims = 1>(points, last)
    sdf = Sub(radius, distance)
    half = Constant<value = float {0.5}>()
    tinted = Mul(points, half)
    color = Add(tinted, half)
}"""

ENCODER = """encoder (float[1,3,96,64] image) => (float[1,4,12,8] latent) {
    pooled = AveragePool<kernel_shape = [8, 8], strides = [8, 8]>(image)
    axis = Constant<value = int64[1] {1}>()
    grey = ReduceMean<keepdims = 1>(pooled, axis)
    four = Concat<axis = 1>(pooled, grey)
    two = Constant<value = float {2.0}>()
    one = Constant<value = float {1.0}>()
    doubled = Mul(four, two)
    latent = Sub(doubled, one)
}"""

DECODER = """decoder (float[1,4,12,8] latent) => (float[1,3,96,64] image) {
    channels = Constant<value = int64[2] {3, 1}>()
    rgb, grey = Split<axis = 1>(latent, channels)
    scales = Constant<value = float[4] {1.0, 1.0, 8.0, 8.0}>()
    large = Resize<mode = "linear">(rgb, , scales)
    half = Constant<value = float {0.5}>()
    halved = Mul(large, half)
    shifted = Add(halved, half)
    zero = Constant<value = float {0.0}>()
    one = Constant<value = float {1.0}>()
    image = Clip(shifted, zero, one)
}"""

RECONSTRUCTOR = """reconstructor (float[1,6,3,32,32] views, float[1,6,16] cameras) => (float[1,3,2,4,4] planes) {
    view_mean = ReduceMean<keepdims = 0>(views)
    camera_mean = ReduceMean<keepdims = 0>(cameras)
    tiny = Constant<value = float {0.001}>()
    little = Mul(camera_mean, tiny)
    value = Add(view_mean, little)
    shape = Constant<value = int64[5] {1, 3, 2, 4, 4}>()
    planes = Expand(value, shape)
}"""

# An ellipsoid joined with a ball ahead of it: front is +x.
GEOMETRY = """geometry (float[1,3,2,4,4] planes, float[1,points,3] points)
    => (float[1,points,1] sdf, float[1,points,3] deformation) {
    last = Constant<value = int64[1] {2}>()
    stretch = Constant<value = float[3] {1.4, 1.0, 1.0}>()
    body_points = Mul(points, stretch)
    body_length = ReduceL2<keepdims = 1>(body_points, last)
    mean = ReduceMean<keepdims = 0>(planes)
    small = Constant<value = float {0.05}>()
    change = Mul(mean, small)
    base = Constant<value = float {0.5}>()
    radius = Add(base, change)
    body = Sub(body_length, radius)
    centre = Constant<value = float[3] {0.5, 0.1, 0.2}>()
    from_bump = Sub(points, centre)
    bump_length = ReduceL2<keepdims = 1>(from_bump, last)
    bump_radius = Constant<value = float {0.25}>()
    bump = Sub(bump_length, bump_radius)
    sdf = Min(body, bump)
    deformation = Mul(points, small)
}"""

WEIGHTS = """weights (float[1,3,2,4,4] planes, float[1,cubes,8,3] corners) => (float[1,cubes,21] weights) {
    axes = Constant<value = int64[1] {2}>()
    mean = ReduceMean<keepdims = 0>(corners, axes)
    plane = ReduceMean<keepdims = 0>(planes)
    moved = Add(mean, plane)
    tenth = Constant<value = float {0.1}>()
    small = Mul(moved, tenth)
    weights = Concat<axis = 2>(small, small, small, small, small, small, small)
}"""

COLOR = """color (float[1,3,2,4,4] planes, float[1,points,3] points) => (float[1,points,3] color) {
    plane = ReduceMean<keepdims = 0>(planes)
    zero = Constant<value = float {0.0}>()
    still = Mul(plane, zero)
    half = Constant<value = float {0.5}>()
    tinted = Mul(points, half)
    centred = Add(tinted, half)
    color = Add(centred, still)
}"""

GRAPHS = {
    "text_encoder": TEXT, "prior_step": PRIOR, "shap_e_params": PARAMS, "shap_e_field": COARSE_FIELD,
    "vae_encoder": ENCODER, "vae_decoder": DECODER, "refiner_step": REFINER, "reconstructor": RECONSTRUCTOR,
    "field_geometry": GEOMETRY, "field_weights": WEIGHTS, "field_color": COLOR,
}
DDIM = {"kind": "ddim", "prediction": "sample", "betas": "cosine", "train_steps": 1000, "spacing": "trailing"}
LOOP = {"schedule": DDIM, "guidance": 2.0, "unconditional": "empty"}
COMMON = {
    "format": 1, "name": "tiny", "version": "1", "exporter": "tests",
    "license": {"id": "Apache-2.0", "commercial_use": "yes", "notes": ["made by hand"]},
    "sources": [{"name": "tests", "license": "Apache-2.0", "commercial_use": "yes"}],
    "views": {"size": 32, "rows": 3, "columns": 2, "azimuths": [30, 90, 150, 210, 270, 330],
              "elevations": [20, -10, 20, -10, 20, -10], "fov": 30.0, "radius": 4.0, "background": 1.0},
    "reconstructor": {"view_size": 32}, "grid": {"resolution": 32, "extent": 2.1},
    "texture_from": "views", "metres_per_unit": 1.0,
}
SHARP_IT = {
    "recipe": "sharp-it", "text": {"length": TOKENS, "tokenizer": "tokenizer.json"},
    "prior": {**LOOP, "latent_shape": list(PRIOR_SHAPE), "steps": 4},
    "refiner": {**LOOP, "latent_shape": list(REFINER_SHAPE), "steps": 3},
    "coarse": {"resolution": 24, "bound": 1.0, "rotation": np.eye(3).tolist(), "scale": 1.0},
}
VARIABLE = {"batch": 1, "points": 5, "cubes": 3, "T": TOKENS, "D": WIDTH, "voxels_0": 16, "voxels_1": 2, "voxels_2": 2}
DTYPES = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.INT64: "int64"}


def build(folder: Path) -> Path:
    """Write the pack into a new folder; the same bytes each time."""
    return write(folder, GRAPHS, SHARP_IT)


def write(folder: Path, graphs: Mapping[str, str], sections: Mapping[str, Any]) -> Path:
    """A pack of any graphs. sections : what pack.json says besides the files, the components and the defaults."""
    folder.mkdir(parents=True)
    golden: dict[str, np.ndarray] = {}
    components = {}
    for name, text in graphs.items():
        model = onnx.parser.parse_model(f'<ir_version: 11, opset_import: ["" : 23]> {text}')
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, folder / f"{name}.onnx")
        golden |= _golden(name, folder / f"{name}.onnx")
        components[name] = _component(name, model)
    np.savez(folder / "golden.npz", **golden)
    if "text" in sections:
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))
    files = {path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
             for path in sorted(folder.iterdir())}
    document = {**COMMON, **sections, "files": files, "components": components}
    (folder / "pack.json").write_text(json.dumps(document, indent=1))
    return folder


def tokenizer() -> dict:
    """The document of a WordPiece tokenizer with a few words."""
    pieces = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS)
    return {"version": "1.0", "normalizer": {"type": "BertNormalizer", "lowercase": True},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": 100, "vocab": {piece: i for i, piece in enumerate(pieces)}}}


def _component(name: str, model: onnx.ModelProto) -> dict:
    return {"kind": name, "file": f"{name}.onnx", "precision": "fp32", "parameters": 0, "tolerance": 1e-4,
            "inputs": [_tensor(value) for value in model.graph.input],
            "outputs": [_tensor(value) for value in model.graph.output], "error": {"abs": 0.0, "rel": 0.0}}


def _tensor(value: onnx.ValueInfoProto) -> dict:
    tensor = value.type.tensor_type
    return {"name": value.name, "dtype": DTYPES[tensor.elem_type],
            "shape": [axis.dim_param or axis.dim_value for axis in tensor.shape.dim]}


def _golden(name: str, path: Path) -> dict[str, np.ndarray]:
    from meshwright.engines import open_engine

    random = np.random.default_rng(0)
    with open_engine(path, threads=1) as engine:
        inputs = {}
        for tensor in engine.spec.inputs:
            shape = tensor.resolve(VARIABLE)
            whole = tensor.dtype == "int64"
            inputs[tensor.name] = random.integers(0, 2, shape) if whole else random.random(shape, np.float32)
        outputs = engine.run(inputs)
    return ({f"{name}/in/{key}": value for key, value in inputs.items()}
            | {f"{name}/out/{key}": value for key, value in outputs.items()})
