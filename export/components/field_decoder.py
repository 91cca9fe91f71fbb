"""Queries of the reconstructed field: geometry, FlexiCubes weights and colour at points of a triplane."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from ..inputs import flat_channels
from ..models.field import FieldDecoder
from ..models.nerf import DensityDecoder
from ..spec import FP32, ComponentSpec, Input, uniform

# The lengths tried for an open axis: one that is traced, a single one, and one that is no multiple of anything.
LENGTHS = (64, 1, 37)
POINTS = Input("points", (1, "points", 3), uniform(-1.05, 1.05))


class Query(nn.Module):
    """One method of a module as a module of its own, with only the networks that it uses."""

    def __init__(self, module: nn.Module, method: str) -> None:
        super().__init__()
        self.module, self.method = module, method

    def forward(self, *tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
        query: Callable = getattr(self.module, self.method)
        return query(*tensors)


def field_decoder(decoder: FieldDecoder, planes: tuple[int, int]) -> tuple[ComponentSpec, ...]:
    """The three graphs field_geometry, field_weights and field_color. `planes` : channels and size of a plane.

    In FP32 in every pack: FP16 has no room for positions, and the weights are too few to be worth halving.
    """
    corners = Input("corners", (1, "cubes", 8, 3), uniform(-1.05, 1.05))
    return (_query(decoder, "geometry", planes, POINTS, ("sdf", "deformation")),
            _query(decoder, "weights", planes, corners, ("weights",)),
            _query(decoder, "color", planes, POINTS, ("color",)))


def density_decoder(decoder: DensityDecoder, planes: tuple[int, int]) -> tuple[ComponentSpec, ...]:
    """The two graphs field_density and field_color of the NeRF variant; otherwise as `field_decoder`."""
    return (_query(decoder, "density", planes, POINTS, ("density",)),
            _query(decoder, "color", planes, POINTS, ("color",)))


def _query(decoder: nn.Module, method: str, planes: tuple[int, int], where: Input, outputs: tuple[str, ...]) -> ComponentSpec:
    channels, size = planes
    triplane = Input("planes", (1, 3, channels, size, size), cases={"equal values": flat_channels})
    return ComponentSpec(f"field_{method}", Query(decoder, method), (triplane, where), outputs,
                         {str(where.shape[1]): LENGTHS}, FP32)
