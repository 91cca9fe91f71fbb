"""Shap-E's decoder in two graphs: latent rows to weights, once an object, and weights to the field at points."""

from __future__ import annotations

from torch import Tensor, nn

from ..models.shap_e import GENERATED, ShapEDecoder
from ..spec import FP16_STORED, FP32, ComponentSpec, Input, Precision, halves, stored, uniform
from .field_decoder import LENGTHS, Query

WEIGHTS = tuple(f"weight_{k}" for k in range(GENERATED))


class Field(nn.Module):
    """`ShapEDecoder.field` with the four generated weights as inputs of their own."""

    def __init__(self, decoder: ShapEDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """weight_0 ... weight_3 (1, out, in), points (1, points, 3) -> sdf, positive inside, and colour."""
        return self.decoder.field(tensors[:GENERATED], tensors[GENERATED])


def shap_e_decoder(decoder: ShapEDecoder, *, bound: float = 1.0,
                   precision: Precision = FP16_STORED) -> tuple[ComponentSpec, ComponentSpec]:
    """The graphs shap_e_params and shap_e_field; points are read within +-`bound`. `precision` : of the first.

    Both calculate in FP32 at any precision, and the second keeps its weights in FP32 too: the highest frequencies of
    the position code need it, and its own weights are few.
    """
    config = decoder.config
    latent = Input("latent", (1, config.rows, config.latent_width), uniform(-1.0, 1.0))
    widths = (config.position_width, *[config.hidden] * (GENERATED - 1))
    weights = tuple(Input(name, (1, config.hidden, width)) for name, width in zip(WEIGHTS, widths, strict=True))
    points = Input("points", (1, "points", 3), uniform(-bound, bound))
    params = ComponentSpec("shap_e_params", Query(decoder, "project"), (latent,), WEIGHTS, precision=halves(stored(precision)))
    field = ComponentSpec("shap_e_field", Field(decoder), (*weights, points), ("sdf", "color"),
                          {"points": LENGTHS}, FP32)
    return params, field
