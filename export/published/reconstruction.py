"""The second half of both recipes: six views become a field. Components and entries of pack.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..components.field_decoder import density_decoder, field_decoder
from ..components.reconstructor import reconstructor
from ..components.vae import ZERO123PLUS, vae_decoder
from ..spec import ComponentSpec, Precision
from .folders import InstantMesh, Network
from .zero123plus import COLUMNS, ROWS, autoencoder_precision, grid_of

DENSITY_THRESHOLD = 10.0
# Trained fields are no distances: every point of a mesh's grid is asked, as in InstantMesh. A NeRF's has eight times as
# many, of which an eighth is asked and then those near the surface.
STRIDES = {"mesh": 1, "nerf": 2}
# How many graphs read the field of each variant.
FIELDS = {"mesh": 3, "nerf": 2}


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
