"""What several components share: the half-precision switch and the tensors of a denoising step."""

from __future__ import annotations

import numpy as np
from torch import nn

from ..inputs import STEP_LATENTS
from ..onnx.precision import InHalf, half_copy
from ..spec import Input, Precision

# The open axis of a step graph: both halves of guidance, the unconditional one first, or the conditional one alone.
HALVES = "halves"
STEP_AXES = {HALVES: (2,)}
STEP_CASES = {"one half": {HALVES: 1}}


def in_half(network: nn.Module, precision: Precision) -> nn.Module:
    """`network` itself, or its FP16 copy behind FP32 tensors if the precision asks for that."""
    return InHalf(network) if precision.compute == "fp16" else network


def step_network(network: nn.Module, precision: Precision) -> nn.Module:
    """As `in_half`, for the network of a step model, which does the casting itself and keeps the timestep in FP32."""
    return half_copy(network) if precision.compute == "fp16" else network


def step_row(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A row as a schedule makes it: timestep, scale_in, x0_from_x, x0_from_output, a, b, c, k, w."""
    level = rng.uniform(0.1, 1.4)
    row = [round(rng.uniform(1, 999)), 1.0, np.cos(level), -np.sin(level), 0.8, 0.5, -0.1, 0.2, 3.0]
    return np.array(row, np.float32).reshape(shape)


def step_inputs(latent: tuple[int, ...], states: tuple[int, int], *, picture: bool = False) -> tuple[Input, ...]:
    """The tensors of every step graph.

    states : tokens and width of the condition; picture : whether the latents are those of a picture, which a loop's last
        steps see nearly without noise
    """
    cases = STEP_LATENTS if picture else {}
    carry = (Input("latent", latent, cases=cases), Input("previous", latent, cases=cases))
    return (*carry, Input("row", (9,), step_row), Input("noise", latent), Input("states", (HALVES, *states)))
