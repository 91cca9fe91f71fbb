"""Replays a pack's golden inputs on this machine and compares with the outputs of the reference."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...engines.errors import MeshwrightError
from ..pack.golden import Check, Golden
from .models import Models

__all__ = ["Check", "verify_pack"]


def verify_pack(models: Models) -> Iterator[Check]:
    """Yield one `Check` for each component of the pack, in the order of `pack.json`."""
    golden = Golden(models.pack)
    for component in models.pack.manifest.components.values():
        try:
            yield golden.replay(models.engine(component.kind), component)
        except MeshwrightError as error:
            yield Check(component.name, np.inf, np.inf, component.tolerance, str(error))
