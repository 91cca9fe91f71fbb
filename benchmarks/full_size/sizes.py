"""How large the published models are, and a set of the same structure that a test writes in a blink."""

from __future__ import annotations

from dataclasses import dataclass, replace

from meshwright.export.models.dmv3d import DMV3DConfig
from meshwright.export.models.reconstructor import ReconstructorConfig


@dataclass(frozen=True)
class Transformer:
    """Sizes of a CLIP encoder. inner : width of its feed-forward layers."""

    width: int
    layers: int
    heads: int
    inner: int


@dataclass(frozen=True)
class Sizes:
    """Of every published model; the defaults are the published ones.

    view, reference, clip : pixels along the side of one of the six views, of the picture that the autoencoder sees, and
        of the picture that the vision encoders see
    vocabulary : token ids, the two special ones at its end
    rows, latent_width : Shap-E's latent; `rows` is four times the width of its MLP
    """

    name: str = "full"
    view: int = 320
    reference: int = 512
    clip: int = 224
    patch: int = 14
    vocabulary: int = 49_408
    unet_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    unet_heads: tuple[int, ...] = (5, 10, 20, 20)
    unet_layers: int = 2
    control_channels: tuple[int, ...] = (16, 32, 96, 256)
    vae_channels: tuple[int, ...] = (128, 256, 512, 512)
    vae_layers: int = 2
    groups: int = 32
    text: Transformer = Transformer(1024, 23, 16, 4096)
    vision: Transformer = Transformer(1280, 32, 16, 5120)
    shap_e_text: Transformer = Transformer(768, 12, 12, 3072)
    shap_e_vision: Transformer = Transformer(1024, 24, 16, 4096)
    prior_heads: tuple[int, int] = (16, 64)
    prior_image_heads: tuple[int, int] = (8, 128)
    prior_layers: int = 24
    rows: int = 1024
    latent_width: int = 1024
    base: ReconstructorConfig = ReconstructorConfig(depth=12, channels=40)
    large: ReconstructorConfig = ReconstructorConfig()
    dmv3d: DMV3DConfig = DMV3DConfig()
    ray_samples: int = 128


FULL = Sizes()
_SMALL_MESH = ReconstructorConfig(view_size=64, encoder_width=64, encoder_heads=1, encoder_depth=2, width=128, heads=2, depth=1,
                                  tokens=8, channels=6, hidden=16)
# Attention heads are 64 wide in every InstantMesh checkpoint, which is how a reader tells their number.
SMALL = Sizes(
    name="small", view=64, reference=64, clip=56, vocabulary=640, unet_channels=(8, 8, 16, 16), unet_heads=(1, 1, 2, 2), unet_layers=1,
    control_channels=(4, 4, 8, 8), vae_channels=(8, 8, 16, 16), vae_layers=1, groups=4,
    text=Transformer(16, 2, 2, 32), vision=Transformer(24, 2, 2, 48), shap_e_text=Transformer(16, 2, 2, 32),
    shap_e_vision=Transformer(24, 2, 2, 48), prior_heads=(2, 8), prior_image_heads=(1, 16), prior_layers=2, rows=32, latent_width=16,
    base=replace(_SMALL_MESH, encoder_depth=1, channels=4), large=_SMALL_MESH, ray_samples=8,
    dmv3d=DMV3DConfig(view_size=32, position_grid=4, encoder_width=32, encoder_heads=2, encoder_depth=1, width=32, heads=2, depth=1,
                      tokens=8, channels=6, hidden=16, text_width=16, time_width=8))
SIZES = {size.name: size for size in (SMALL, FULL)}
