"""InstantMesh's sparse-view reconstructor (arXiv 2404.07191), sizes free, parameters named as in the published checkpoints."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from .field import FieldDecoder
from .nerf import DensityDecoder
from .triplane import TriplaneTransformer
from .vit import ViewEncoder

# What reads the planes: signed distance for FlexiCubes, or the density of a radiance field.
Kind = Literal["mesh", "nerf"]


@dataclass(frozen=True)
class ReconstructorConfig:
    """Sizes; the defaults are `instant_mesh_large`."""

    view_size: int = 320
    patch: int = 16
    position_grid: int = 14
    encoder_width: int = 768
    encoder_heads: int = 12
    encoder_depth: int = 12
    width: int = 1024
    heads: int = 16
    depth: int = 16
    tokens: int = 32
    upsample: int = 2
    channels: int = 80
    hidden: int = 64


class Reconstructor(nn.Module):
    """Six posed views to a triplane, with the decoder that reads it (`synthesizer`)."""

    def __init__(self, config: ReconstructorConfig, kind: Kind = "mesh"):
        super().__init__()
        c = self.config = config
        self.encoder = ViewEncoder(c.encoder_width, c.encoder_heads, c.encoder_depth, c.patch, c.position_grid)
        self.transformer = TriplaneTransformer(c.width, c.encoder_width, c.heads, c.depth, c.tokens, c.channels, c.upsample)
        self.synthesizer = (FieldDecoder if kind == "mesh" else DensityDecoder)(c.channels, c.hidden)

    def forward(self, views: Tensor, cameras: Tensor) -> Tensor:
        """views (b, v, 3, h, h) in [0, 1] on white, cameras (b, v, 16) -> planes (b, 3, channels, p, p)."""
        return self.transformer(self.encoder(views, cameras))
