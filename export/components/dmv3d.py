"""DMV3D in three graphs: one step of its loop, renderings of its planes from any camera, and the field that the planes hold."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from ..inputs import STEP_LATENTS, flat_channels
from ..models.dmv3d import DMV3D, PlaneField
from ..onnx.step_model import OUTPUTS, advance, for_halves
from ..spec import FP16_STORED, FP32, ComponentSpec, Input, Precision, uniform
from .field_decoder import LENGTHS, POINTS
from .parts import STEP_AXES, STEP_CASES, step_inputs, step_network

VIEWS, SAMPLES = 4, 48
# Of the cameras that inputs are drawn for, in units of the world.
DISTANCE = 2.4


class DMV3DStep(nn.Module):
    """Noisy views to planes, their renderings as the denoised views, guidance between these, and the sampler's update.

    net : makes the planes, may be in FP16; field : renders them, in FP32. chunks : how many parts of the rays are rendered one after
    another, which bounds the memory
    """

    def __init__(self, net: nn.Module, field: PlaneField, samples: int, chunks: int) -> None:
        super().__init__()
        self.net, self.field, self.samples, self.chunks = net, field, samples, chunks

    def forward(self, latent: Tensor, previous: Tensor, row: Tensor, noise: Tensor, states: Tensor, rays: Tensor, known: Tensor,
                mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """latent, previous, noise, known : (1, v, 3, s, s), views in [-1, 1]; row : (9,); states : (halves, T, D), the text
        rays : (1, v, 6, s, s), origin and unit direction in the world; mask : (1, v, 1, 1, 1), 1 where a view is known, which the network
            then sees as `known` has it, without noise

        Returns latent_next and previous_next, and planes (1, 3, c, p, p), those of the conditional half. All float32.
        """
        columns, dtype = row.unbind(), next(self.net.parameters()).dtype
        seen = mask * known + (1 - mask) * (columns[1] * latent)
        planes = self.net(for_halves(seen, states).to(dtype), rays, columns[0].expand(states.shape[0]), states.to(dtype)).float()
        return *advance(columns, latent, previous, noise, self._rendered(planes, rays)), planes[-1:]

    def _rendered(self, planes: Tensor, rays: Tensor) -> Tensor:
        """(halves, v, 3, s, s) in [-1, 1]"""
        _, views, _, size, _ = rays.shape
        lines = for_halves(rays.permute(0, 1, 3, 4, 2).flatten(1, 3), planes)
        parts = [self.field.render(planes, part, self.samples)[0] for part in lines.chunk(self.chunks, dim=1)]
        return torch.cat(parts, dim=1).unflatten(1, (views, size, size)).permute(0, 1, 4, 2, 3) * 2 - 1


class Rendering(nn.Module):
    """`PlaneField.render` as a graph."""

    def __init__(self, field: PlaneField, samples: int) -> None:
        super().__init__()
        self.field, self.samples = field, samples

    def forward(self, planes: Tensor, rays: Tensor) -> tuple[Tensor, Tensor]:
        """planes (1, 3, c, p, p), rays (1, rays, 6) -> colour on white (1, rays, 3) in [0, 1] and coverage (1, rays, 1)."""
        return self.field.render(planes, rays, self.samples)


def dmv3d(model: DMV3D, tokens: int, *, views: int = VIEWS, samples: int = SAMPLES, chunks: int = VIEWS,
          precision: Precision = FP16_STORED) -> tuple[ComponentSpec, ...]:
    """The graphs dmv3d_step, render_planes and planes_field. Views are of the size that the model's configuration names.

    tokens : of the text; samples : on each ray; chunks : as of `DMV3DStep`. precision : of the first; the others are FP32, since FP16 has
    no room for positions.
    """
    c = model.config
    planes = Input("planes", (1, 3, c.channels, c.tokens * c.upsample, c.tokens * c.upsample), cases={"equal values": flat_channels})
    rays = Input("rays", (1, "rays", 6), _lines)
    return (_step(model, tokens, views, samples, chunks, precision),
            ComponentSpec("render_planes", Rendering(model.field, samples), (planes, rays), ("color", "coverage"), {"rays": LENGTHS}, FP32),
            ComponentSpec("planes_field", model.field, (planes, POINTS), ("sdf", "color"), {"points": LENGTHS}, FP32))


def _step(model: DMV3D, tokens: int, views: int, samples: int, chunks: int, precision: Precision) -> ComponentSpec:
    c = model.config
    shape = (1, views, 3, c.view_size, c.view_size)
    made = partial(DMV3DStep, field=model.field, samples=samples, chunks=chunks)
    inputs = (*step_inputs(shape, (tokens, c.text_width), picture=True),
              Input("rays", (1, views, 6, c.view_size, c.view_size), _ray_maps), Input("known", shape, uniform(-1.0, 1.0), STEP_LATENTS),
              Input("mask", (1, views, 1, 1, 1), _first_known))
    return ComponentSpec("dmv3d_step", made(step_network(model, precision)), inputs, (*OUTPUTS, "planes"), STEP_AXES, precision,
                         made(model), in_halves=("field.",), axes_of_cases=STEP_CASES)


def _first_known(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, np.float32)
    mask[:, 0] = rng.integers(2)
    return mask


def _lines(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """(..., 6) float32: origins at DISTANCE from the middle of the world, and unit directions to somewhere near it."""
    origin = rng.standard_normal((*shape[:-1], 3))
    origin *= DISTANCE / np.linalg.norm(origin, axis=-1, keepdims=True)
    direction = rng.uniform(-0.6, 0.6, origin.shape) - origin
    return np.concatenate([origin, direction / np.linalg.norm(direction, axis=-1, keepdims=True)], axis=-1, dtype=np.float32)


def _ray_maps(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """(1, v, 6, s, s) float32: `_lines` in the place of pixels."""
    return np.moveaxis(_lines(rng, (*shape[:2], *shape[3:], 6)), -1, 2).copy()
