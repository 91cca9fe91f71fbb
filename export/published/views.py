"""What both recipes share: the picture of six views that Zero123++ and its like draw, its latents, cameras and sampler, and how six views
become a field.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..components.field_decoder import density_decoder, field_decoder
from ..components.reconstructor import reconstructor
from ..components.vae import FACTOR, ZERO123PLUS, vae_decoder
from ..spec import ComponentSpec, Precision, stored
from .folders import InstantMesh, Network
from .schedules import Sampling, sampling

ROWS, COLUMNS = 3, 2
AZIMUTHS = (30.0, 90.0, 150.0, 210.0, 270.0, 330.0)
FOV = 30.0
RADIUS = 4.0
# Of the latents.
CHANNELS = 4
DENSITY_THRESHOLD = 10.0
# Trained fields are no distances: every point of a mesh's grid is asked, as in InstantMesh. A NeRF's has eight times as
# many, of which an eighth is asked and then those near the surface.
STRIDES = {"mesh": 1, "nerf": 2}
# How many graphs read the field of each variant.
FIELDS = {"mesh": 3, "nerf": 2}


def grid_of(view_size: int) -> tuple[int, int]:
    """Height and width of the picture of all views, in pixels."""
    return ROWS * view_size, COLUMNS * view_size


def latents_of(view_size: int) -> tuple[int, int]:
    """Height and width of its latents."""
    height, width = grid_of(view_size)
    return height // FACTOR, width // FACTOR


def views_entry(view_size: int, elevations: Sequence[float], background: float) -> dict[str, Any]:
    """The cameras, as pack.json has them; `elevations` are repeated until there is one for each view.

    The published networks draw the light of their training pictures, which is none that could be taken out of a texture.
    """
    return {"size": view_size, "rows": ROWS, "columns": COLUMNS, "azimuths": list(AZIMUTHS),
            "elevations": [elevations[i % len(elevations)] for i in range(len(AZIMUTHS))],
            "fov": FOV, "radius": RADIUS, "background": background, "lit": False}


def unet_sampling(root: Path, spacing: str) -> Sampling:
    """The sampler of the pipeline in `root`; spacing : "file" for what it says itself."""
    return sampling(root / "scheduler", None if spacing == "file" else spacing)


def length_of(text: Network) -> int:
    """How many tokens a CLIP text encoder takes."""
    return text.config["max_position_embeddings"]


def autoencoder_precision(vae: Network, precision: Precision) -> Precision:
    """`precision`, but calculated in FP32 where the configuration says that FP16 does not hold the autoencoder's values."""
    return stored(precision) if vae.config.get("force_upcast", True) else precision


def views_to_field(vae: Network, network: InstantMesh, precision: Precision) -> Iterator[ComponentSpec]:
    """vae_decoder, reconstructor and the queries of its field, each network read when it is asked for."""
    yield vae_decoder(vae.load(), *grid_of(network.config.view_size), ZERO123PLUS, precision=autoencoder_precision(vae, precision))
    yield reconstructor(network.load(), views=ROWS * COLUMNS, precision=precision)
    queries = density_decoder if network.variant == "nerf" else field_decoder
    config = network.config
    yield from queries(network.load().synthesizer, (config.channels, config.tokens * config.upsample))


def field_entries(network: InstantMesh, resolution: int | None, texture_from: str) -> dict[str, Any]:
    """What pack.json says of the reconstructor, the grid and the texture.

    resolution : as InstantMesh's configurations have it, cells for a mesh (None: 128) and points for a NeRF (None: 256)
    """
    if network.variant == "mesh":
        grid = {"resolution": resolution or 128, "extent": 2.1}
    else:
        grid = {"resolution": (resolution or 256) - 1, "extent": 2.0, "density_threshold": DENSITY_THRESHOLD}
    grid["stride"] = STRIDES[network.variant]
    return {"reconstructor": {"view_size": network.config.view_size}, "grid": grid, "texture_from": texture_from, "metres_per_unit": 1.0}
