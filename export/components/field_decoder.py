"""Queries of the reconstructed field: geometry, FlexiCubes weights and colour at points of a triplane."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from ..models.field import FieldDecoder
from ..spec import FP16_STORED, ComponentSpec, Input, Precision, uniform

# The lengths tried for an open axis: one that is traced, a single one, and one that is no multiple of anything.
LENGTHS = (64, 1, 37)


class Query(nn.Module):
    """One method of a module as a module of its own, with only the networks that it uses."""

    def __init__(self, module: nn.Module, method: str) -> None:
        super().__init__()
        self.module, self.method = module, method

    def forward(self, *tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
        query: Callable = getattr(self.module, self.method)
        return query(*tensors)


def field_decoder(decoder: FieldDecoder, planes: tuple[int, int], *,
                  precision: Precision = FP16_STORED) -> tuple[ComponentSpec, ...]:
    """The three graphs field_geometry, field_weights and field_color. `planes` : channels and size of a plane.

    They calculate in FP32 at any precision: FP16 has no room for positions.
    """
    channels, size = planes
    triplane = Input("planes", (1, 3, channels, size, size))
    points = Input("points", (1, "points", 3), uniform(-1.05, 1.05))
    corners = Input("corners", (1, "cubes", 8, 3), uniform(-1.05, 1.05))

    def spec(name: str, tensor: Input, outputs: tuple[str, ...]) -> ComponentSpec:
        return ComponentSpec(f"field_{name}", Query(decoder, name), (triplane, tensor), outputs,
                             {tensor.shape[1]: LENGTHS}, precision)

    return (spec("geometry", points, ("sdf", "deformation")), spec("weights", corners, ("weights",)),
            spec("color", points, ("color",)))
