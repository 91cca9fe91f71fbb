"""The surface of a reconstructed field, where the field is a formula."""

import dataclasses

import numpy as np
import pytest

from meshwright.engines.errors import EmptyShape
from meshwright.runtime.geometry.topology import is_watertight
from meshwright.runtime.pack.manifest import Grid
from meshwright.runtime.pack.pack import Pack
from meshwright.runtime.recipes.rebuild import Field, extract_surface
from tests.runtime.tiny_pictures import build_instantmesh

MESH, NERF = Grid(48, 2.1, stride=1), Grid(47, 2.0, density_threshold=10.0, stride=2)


class Ball(Field):
    """Answers for the networks; `lift` is added to the distance."""

    lift = 0.0

    def geometry(self, points):
        self.__dict__.setdefault("asked", []).append(points)
        sdf = np.linalg.norm(points, axis=1) - 0.6 + self.lift
        return {"sdf": sdf.astype(np.float32), "deformation": np.zeros_like(points)}

    def density(self, points):
        return np.logaddexp(0, 10 - 60 * self.geometry(points)["sdf"]).astype(np.float32)

    def weights(self, corners):
        return np.zeros((len(corners), 21), np.float32)


class Nowhere(Ball):
    lift = 9.0


@pytest.fixture(scope="module")
def manifests(tmp_path_factory):
    """Those of a mesh pack and of a NeRF pack, with grids of our own."""
    folder = tmp_path_factory.mktemp("packs")
    found = [Pack.open(build_instantmesh(folder / f"density-{density}", density=density)).manifest for density in (False, True)]
    return [dataclasses.replace(manifest, grid=grid) for manifest, grid in zip(found, (MESH, NERF), strict=True)]


@pytest.mark.parametrize("kind", ["mesh", "nerf"])
def test_distances_and_densities_give_the_same_ball(manifests, kind):
    field = Ball(None, np.zeros(1))
    mesh = extract_surface(manifests[kind == "nerf"], field)
    assert is_watertight(mesh) and mesh.signed_volume == pytest.approx(4 / 3 * np.pi * 0.6**3, rel=0.02)


def test_each_field_is_asked_on_its_published_grid(manifests):
    mesh, nerf = Ball(None, np.zeros(1)), Ball(None, np.zeros(1))
    extract_surface(manifests[0], mesh)
    extract_surface(manifests[1], nerf)
    axes = [np.unique(np.concatenate(field.asked)) for field in (mesh, nerf)]
    np.testing.assert_allclose(axes[0], (np.round(np.arange(49) / 48, 5) - 0.5) * 2.1, atol=1e-7)
    places = (axes[1] + 1) / 2 * 47  # not every one: the sparse search skips some
    np.testing.assert_allclose(places, np.rint(places), atol=1e-5)
    assert sum(map(len, mesh.asked)) == 49**3, "stride 1 leaves no point out"
    assert sum(map(len, nerf.asked)) < 48**3 / 2


@pytest.mark.parametrize("kind", ["mesh", "nerf"])
def test_a_field_that_is_nowhere_inside_is_an_error_and_no_box(manifests, kind):
    # InstantMesh forces a sign change into such a field, whose surface is the grid's border turned inside out.
    with pytest.raises(EmptyShape, match="reconstruction has no surface"):
        extract_surface(manifests[kind == "nerf"], Nowhere(None, np.zeros(1)))
