import numpy as np
import pytest

from meshwright.engines.errors import InputError
from meshwright.runtime.geometry.creases import split_at_creases
from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.geometry.topology import components
from meshwright.runtime.texture import packing
from meshwright.runtime.texture.atlas import rasterize
from meshwright.runtime.texture.unwrap import _repeated, unwrap
from tests.runtime.shapes import box, joined, letter_f, sphere, spiral_ramp


def soup(count):
    corners = np.random.default_rng(5).uniform(-0.6, 0.6, (count, 1, 3))
    corners = corners + np.random.default_rng(6).normal(0, 0.05, (count, 3, 3))
    return Mesh(corners.reshape(-1, 3).astype(np.float32), np.arange(count * 3, dtype=np.int32).reshape(-1, 3))


MESHES = {
    "letter": split_at_creases(letter_f(detail=3)),
    "sphere": sphere(subdivisions=3),
    "apart": joined(box(), sphere(0.2), box((0.1, 2.0, 0.1), (0, 0, 2.0))),
    "spiral": spiral_ramp(),
    "soup": soup(300),
}


def uv_areas(mesh):
    corner = mesh.uvs[mesh.faces].astype(np.float64)
    one, two = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    return (one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]) / 2


@pytest.mark.parametrize("many", [packing.MANY, 0], ids=["shapes", "boxes"])
@pytest.mark.parametrize("name", MESHES)
def test_charts_fill_the_square_without_overlap(name, many, monkeypatch):
    monkeypatch.setattr(packing, "MANY", many)
    mesh = MESHES[name]
    done = unwrap(mesh, 256)
    assert np.array_equal(done.mesh.triangles(), mesh.triangles())
    assert np.array_equal(done.source[done.mesh.faces], mesh.faces)
    assert done.mesh.uvs.min() >= 0 and done.mesh.uvs.max() <= 1
    texel = rasterize(done.mesh.uvs[done.mesh.faces], 256)[1]
    doubled = len(texel) - len(np.unique(texel))
    assert doubled <= 0.002 * len(texel)
    assert len(texel) > 0.15 * 256 ** 2


@pytest.mark.parametrize("name", ["letter", "sphere"])
def test_charts_are_neither_mirrored_nor_stretched_much(name):
    done = unwrap(MESHES[name], 512).mesh
    areas = uv_areas(done)
    assert (areas < 0).all()  # counter-clockwise for a viewer of the texture, whose v runs down
    density = -areas / MESHES[name].face_areas()
    assert density.max() / density.min() < 3


def test_a_box_has_six_square_charts_of_one_scale():
    done = unwrap(box((2.0, 2.0, 2.0)), 256).mesh
    assert len(np.unique(components(done))) == 6
    assert np.ptp(uv_areas(done)) < 1e-6


def test_charts_keep_their_distance():
    mesh = unwrap(MESHES["letter"], 256).mesh
    face, texel = rasterize(mesh.uvs[mesh.faces], 256)
    owner = np.full((256, 256), -1)
    owner.reshape(-1)[texel] = components(mesh)[face]
    # creases split vertices, so that parts of one chart may touch: they have the same coordinates there
    seam = np.unique(mesh.uvs[mesh.faces].reshape(-1, 2), axis=0, return_inverse=True)[1].reshape(-1, 3)
    owner.reshape(-1)[texel] = components(Mesh(np.zeros((int(seam.max()) + 1, 3), np.float32), seam.astype(np.int32)))[face]
    for dx, dy in ((0, 3), (3, 0), (2, 2)):
        here, there = owner[:256 - dy, :256 - dx], owner[dy:, dx:]
        assert not ((here >= 0) & (there >= 0) & (here != there)).any()


def test_a_sheet_that_turns_over_itself_is_taken_apart():
    """A ramp that winds twice around an axis: seen from above, its turns hide each other."""
    turn, edge = np.meshgrid(np.linspace(0, 4 * np.pi, 97), (0.4, 1.0), indexing="ij")
    points = np.stack([edge * np.cos(turn), edge * np.sin(turn), 0.05 * turn], axis=-1).reshape(-1, 3)
    first = 2 * np.arange(96)[:, None]
    mesh = Mesh(points.astype(np.float32), (first[:, None] + [[0, 1, 3], [0, 3, 2]]).reshape(-1, 3).astype(np.int32))
    done = unwrap(mesh, 512).mesh
    texel = rasterize(done.uvs[done.faces], 512)[1]
    assert len(np.unique(texel)) == len(texel) and len(np.unique(components(done))) > 1


def test_normals_and_colours_come_along():
    mesh = MESHES["letter"].replace(colors=np.full((len(MESHES["letter"].vertices), 3), 7, np.uint8))
    done = unwrap(mesh, 64).mesh
    assert np.array_equal(done.normals[done.faces], mesh.normals[mesh.faces])
    assert done.colors.shape == done.vertices.shape


def test_the_result_repeats():
    one, two = (unwrap(MESHES["letter"], 128).mesh for _ in range(2))
    assert one.uvs.tobytes() == two.uvs.tobytes() and one.faces.tobytes() == two.faces.tobytes()


def test_faces_without_area_do_no_harm():
    mesh = MESHES["letter"]
    flat = mesh.replace(faces=np.concatenate([mesh.faces, [[0, 0, 1], [2, 2, 2]]]).astype(np.int32))
    done = unwrap(flat, 128).mesh
    assert np.array_equal(done.triangles(), flat.triangles()) and np.isfinite(done.uvs).all()


def test_a_mesh_without_any_area_has_coordinates():
    mesh = Mesh(np.zeros((3, 3), np.float32), np.array([[0, 1, 2]], np.int32))
    assert np.isfinite(unwrap(mesh, 64).mesh.uvs).all()


def test_an_empty_mesh_gives_an_empty_one():
    empty = Mesh(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32))
    assert unwrap(empty, 64).mesh.uvs.shape == (0, 2)


@pytest.mark.parametrize("many", [packing.MANY, 100], ids=["shapes", "boxes"])
def test_far_more_charts_than_texels_still_give_coordinates(many, monkeypatch):
    monkeypatch.setattr(packing, "MANY", many)
    done = unwrap(soup(1000), 16).mesh
    assert np.isfinite(done.uvs).all() and done.uvs.min() >= 0 and done.uvs.max() <= 1


@pytest.mark.parametrize("size", [0, 8, 100])
def test_the_texture_size_is_a_power_of_two(size):
    with pytest.raises(InputError, match=f"texture size.*{size}"):
        unwrap(MESHES["letter"], size)


def test_numbers_that_come_more_than_once():
    numbers = np.array([5, 0, 3, 5, 7, 3, 5])
    np.testing.assert_array_equal(_repeated(numbers, 8), [True, False, True, True, False, True, True])
    assert _repeated(np.zeros(0, np.int64), 8).shape == (0,)
