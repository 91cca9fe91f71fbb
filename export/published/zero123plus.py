"""What Zero123++ and the models derived from it share: the picture of six views, its latents, cameras and sampler."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..components.vae import FACTOR
from ..spec import Precision, stored
from .folders import Network
from .schedules import Sampling, sampling

ROWS, COLUMNS = 3, 2
AZIMUTHS = (30.0, 90.0, 150.0, 210.0, 270.0, 330.0)
FOV = 30.0
RADIUS = 4.0
# Of the latents.
CHANNELS = 4


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
