"""The coarse shape, where the field is a formula."""

from types import SimpleNamespace

import numpy as np
import pytest

from meshwright.engines.spec import EngineSpec, TensorSpec
from meshwright.runtime.pack.manifest import Coarse
from meshwright.runtime.recipes.sharp_it import decode_coarse_mesh

UNTURNED = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


class Ball:
    """Answers for the networks, as `Models` does; keeps the points that it was asked for."""

    def __init__(self, resolution):
        made = EngineSpec((), (TensorSpec("weight_0", "float32", (1, 2)),))
        self.pack = SimpleNamespace(manifest=SimpleNamespace(coarse=Coarse(resolution, 1.0, UNTURNED, 1.0)),
                                    component=lambda kind: SimpleNamespace(spec=made))
        self.asked = []

    def run(self, kind, keep=(), **inputs):
        if kind == "shap_e_params":
            return {"weight_0": inputs["latent"]}
        self.asked.append(inputs["points"][0])
        sdf = 0.6 - np.linalg.norm(inputs["points"], axis=-1, keepdims=True)
        return {"sdf": sdf.astype(np.float32), "color": np.full(inputs["points"].shape, 0.5, np.float32)}


def test_the_field_is_asked_at_the_lattices_own_places():
    """127 cells, as published: i / 127 has no end, and is not cut to five decimals as FlexiCubes' grid is."""
    models = Ball(127)
    mesh = decode_coarse_mesh(models, np.zeros((1, 2), np.float32))
    asked = np.unique(np.concatenate([points.ravel() for points in models.asked[:-1]]))  # the last ask is for colours
    places = (asked.astype(np.float64) + 1) / 2 * 127
    np.testing.assert_allclose(places, np.rint(places), atol=2e-5)  # rounded, a place would be off by up to 6e-4
    assert mesh.signed_volume == pytest.approx(4 / 3 * np.pi * 0.6**3, rel=0.01)
