"""Where a mesh stood in the file that it was read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..geometry.mesh import Mesh


@dataclass(frozen=True)
class Placement:
    """From the place and size at which the networks see a mesh to those that it has in its file: translation + scale * position.

    translation : in world axes (z up, front +x), in the file's units; scale : more than 0
    """

    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0

    def restored(self, mesh: Mesh) -> Mesh:
        """The mesh in the file's place and units, still in world axes; its vertices are float64, which a far place may need."""
        return mesh.replace(vertices=mesh.vertices * np.float64(self.scale) + np.array(self.translation, np.float64))

    def describe(self) -> dict[str, Any]:
        """Plain JSON, in the axes of glTF and OBJ (+Y up, front +Z)."""
        x, y, z = self.translation
        return {"translation": [y, z, x], "scale": self.scale}
