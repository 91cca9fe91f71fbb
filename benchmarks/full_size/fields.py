"""Weights that draw something: a bumpy ball in Shap-E's field and in the reconstructor's, whatever the random rest says.

One unit of every layer carries the distance through the network unchanged; the others stay random and add a little to it.
"""

from __future__ import annotations

import re

import numpy as np

# Shap-E's features of a point: itself, fifteen octaves of sines, fifteen of cosines (sines shifted by a quarter turn).
OCTAVES = 15
COSINES = slice(3 + 3 * OCTAVES, 6 + 3 * OCTAVES)
# cos x + cos y + cos z is 3 at the origin, about 2.8 on a ball of radius 0.63, and at most 2.55 on the cube's faces.
GAIN, LEVEL, SLOPE = 8.0, 2.8, 0.25
# SiLU about halves what is random; longer rows keep it alive over seven layers.
SPREAD = 1.6
# The reconstructor's planes hold 2 - 4 (u^2 + v^2) in channel 0, so that their sum is 6 - 8 r^2: 2.6 at r = 0.65. Where a point has
# left two of the planes the third one alone gives 2 at most, which is outside. LIFT keeps the unit that carries the sum above zero.
RIM, LIFT = 2.6, 16.0
BRANCH_END = re.compile(r"transformer\.layers\.\d+\.((self|cross)_attn\.out_proj\.weight|mlp\.3\.(weight|bias))")


def coarse_ball(name: str, values: np.ndarray) -> np.ndarray:
    """Shaping of `shap_e_renderer`: distance positive inside."""
    generated = re.search(r"nerstf__mlp__(\d)__weight\.(.*)", name)
    if generated:
        return _generated(int(generated[1]), generated[2], values)
    layer = re.fullmatch(r"mlp\.mlp\.(\d)\.(weight|bias)", name)
    if layer is None:
        return values
    last = layer[1] == "6"
    if layer[2] == "bias":
        values[0] = -SLOPE * GAIN * LEVEL if last else 0.0
        return values
    return _coarse_outputs(values) if last else _carry(SPREAD * values)


def _coarse_outputs(values: np.ndarray) -> np.ndarray:
    values[:, 0] = 0.0
    values[0] *= 0.03
    values[0, 0] = SLOPE
    values[3:6] *= 8
    return values


def _generated(layer: int, part: str, values: np.ndarray) -> np.ndarray:
    """A matrix that the latent makes: mostly its bias, and of the latent's share only what keeps the surface smooth."""
    if part == "proj.weight":
        return values
    channels = len(values) if part.startswith("norm") else _columns(layer, len(values))
    share = np.repeat(4.0 ** -np.arange(OCTAVES), 3) if layer == 0 else np.full(channels, channels**-0.5)
    if layer == 0:
        share = np.concatenate([[0.3] * 3, share, share])
    if part == "norm.bias":
        return 0 * values
    if part == "norm.weight":
        share = (0.05 if layer else 0.1) * share
        if layer:
            share[0] = 0.0
        return share.astype(np.float32)
    # Plain biases have a deviation of 0.05.
    matrix = (values / 0.05).reshape(-1, channels) * share.astype(np.float32)
    if layer == 0:
        matrix[0] = 0.0
        matrix[0, COSINES] = GAIN
        return matrix.reshape(-1)
    return _carry(SPREAD * matrix).reshape(-1)


def _columns(layer: int, length: int) -> int:
    return 3 + 6 * OCTAVES if layer == 0 else round(length**0.5)


def _carry(matrix: np.ndarray) -> np.ndarray:
    """Unit 0 reads unit 0 alone, and no other unit reads it."""
    matrix[0], matrix[:, 0] = 0.0, 0.0
    matrix[0, 0] = 1.0
    return matrix


def reconstructed_ball(name: str, values: np.ndarray) -> np.ndarray:
    """Shaping of an InstantMesh checkpoint: distance negative inside, or with `decoder.net` the density of the NeRF variant."""
    if name == "transformer.pos_embed":
        return _plane_tokens(2 * values)
    if name == "transformer.norm.bias" or name == "transformer.deconv.bias":
        values[0] = 0.0
    elif name == "transformer.deconv.weight":
        values[:, 0], values[0, 0] = 0.0, 1.0
    elif BRANCH_END.fullmatch(name):
        # The last norm divides the planes by what the layers add up to, and channel 0 must not be moved at all.
        values *= 0.5
        values[0] = 0.0
    decoder = re.fullmatch(r"synthesizer\.decoder\.(net|net_sdf|net_rgb)\.(\d)\.(weight|bias)", name)
    return values if decoder is None else _decoder(decoder[1], int(decoder[2]), decoder[3], values)


def _plane_tokens(values: np.ndarray) -> np.ndarray:
    """(1, 3 t^2, width), plane by plane, rows by rows."""
    side = round((values.shape[1] / 3) ** 0.5)
    axis = (np.arange(side) * 2 + 1) / side - 1
    pattern = 2 - 4 * (axis[:, None] ** 2 + axis**2)
    values[0, :, 0] = np.tile(pattern.ravel(), 3)
    return values


def _decoder(net: str, layer: int, part: str, values: np.ndarray) -> np.ndarray:
    last = layer == 6
    if net == "net_rgb":
        return (4 if last else 2) * values if part == "weight" else values
    if part == "bias":
        values[0] = LIFT if layer == 0 else 0.0
        if last:
            values[0] = RIM + LIFT if net == "net_sdf" else 10 - 20 * (LIFT + RIM)
    elif last:
        values[0] *= 0.05
        values[:, 0] = 0.0
        values[0, 0] = -1.0 if net == "net_sdf" else 20.0
        values[1:] *= 3
    elif layer:
        _carry(values)
    else:
        values[0] = 0.0
        values[0, :: values.shape[1] // 3] = 1.0
    return values
