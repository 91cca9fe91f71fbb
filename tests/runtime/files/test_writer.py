import resource

import numpy as np
import pytest
import trimesh
from PIL import Image

from meshwright.engines.errors import OutputError
from meshwright.runtime.files.writer import check_output, save
from meshwright.runtime.geometry.creases import split_at_creases
from meshwright.runtime.texture.atlas import make_atlas
from meshwright.runtime.texture.bake import bake_field
from meshwright.runtime.texture.unwrap import unwrap
from tests.runtime.shapes import letter_f, position_colors, to_texture


@pytest.fixture(scope="module")
def mesh():
    made = unwrap(split_at_creases(letter_f(detail=2)), 128).mesh
    atlas = make_atlas(made, 128)
    return made.replace(texture=to_texture(atlas, bake_field(atlas, position_colors).colors))


def upright(vertices):
    """World axes as PLY and STL have them: z up, front -y, so right, for a viewer in front, is +x."""
    return np.stack([vertices[:, 1], -vertices[:, 0], vertices[:, 2]], 1)


def same_triangles(loaded, expected):
    assert loaded.volume == pytest.approx(7 / 125, rel=1e-4)
    assert loaded.triangles == pytest.approx(expected, abs=1e-6)


def test_obj(mesh, tmp_path):
    written = save(mesh, tmp_path / "letter.obj")
    assert written == [tmp_path / f"letter{ending}" for ending in (".obj", ".mtl", "_color.png")]
    assert sorted(tmp_path.iterdir()) == sorted(written)
    loaded = trimesh.load(written[0], process=False)
    same_triangles(loaded, mesh.vertices[:, [1, 2, 0]][mesh.faces])
    assert np.array_equal(np.asarray(loaded.visual.material.image.convert("RGB")), mesh.texture)
    assert np.array_equal(np.asarray(Image.open(written[2])), mesh.texture)
    uv = loaded.visual.uv[loaded.faces].mean(axis=1)
    pixel = np.stack([(1 - uv[:, 1]) * 128, uv[:, 0] * 128]).astype(int)
    x, y, z = loaded.triangles_center.T
    expected = 0.5 + 0.45 * np.stack([-x, y, z], 1) / 0.6
    assert np.abs(mesh.texture[pixel[0], pixel[1]] / 255 - expected).max() < 0.03


def test_obj_with_vertex_colours_is_one_file(mesh, tmp_path):
    plain = letter_f().replace(colors=np.tile(np.uint8([255, 0, 51]), (len(letter_f().vertices), 1)))
    assert save(plain, tmp_path / "plain.obj") == [tmp_path / "plain.obj"]
    loaded = trimesh.load(tmp_path / "plain.obj", process=False)
    assert (loaded.visual.vertex_colors[:, :3] == [255, 0, 51]).all()


def test_ply(mesh, tmp_path):
    save(mesh, tmp_path / "letter.ply")
    loaded = trimesh.load(tmp_path / "letter.ply", process=False)
    same_triangles(loaded, upright(mesh.vertices)[mesh.faces])
    assert loaded.vertex_normals == pytest.approx(upright(mesh.normals), abs=1e-6)
    difference = loaded.visual.vertex_colors[:, :3] / 255 - position_colors(mesh.vertices)
    assert np.abs(difference).max() < 0.06


def test_stl(mesh, tmp_path):
    save(mesh, tmp_path / "letter.stl", metres_per_unit=1.0)
    loaded = trimesh.load(tmp_path / "letter.stl", process=False)
    same_triangles(loaded, upright(mesh.vertices)[mesh.faces])


@pytest.mark.parametrize("ending", ["glb", "obj", "ply", "stl"])
def test_metres_and_repeatable_bytes(mesh, tmp_path, ending):
    one, two = tmp_path / f"one.{ending}", tmp_path / "again"
    two.mkdir()
    save(mesh, one, metres_per_unit=3.0)
    save(mesh, two / one.name, metres_per_unit=3.0)
    assert one.read_bytes() == (two / one.name).read_bytes()
    assert trimesh.load(one, force="mesh").extents.max() == pytest.approx(3.0)


def test_endings_in_capitals_and_text_paths(mesh, tmp_path):
    assert save(mesh, str(tmp_path / "LETTER.STL")) == [tmp_path / "LETTER.STL"]


@pytest.mark.parametrize("name", ["mesh.fbx", "mesh", ".glb", "mesh.glb.gz"])
def test_unknown_endings_name_the_known_ones(mesh, tmp_path, name):
    with pytest.raises(OutputError, match=r"\.glb, \.obj, \.ply, \.stl"):
        save(mesh, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written(mesh, tmp_path):
    (tmp_path / "folder.glb").mkdir()
    with pytest.raises(OutputError, match="a folder"):
        check_output(tmp_path / "folder.glb")
    with pytest.raises(OutputError, match="no folder"):
        save(mesh, tmp_path / "missing" / "mesh.glb")
    with pytest.raises(OutputError, match="no folder"):
        (tmp_path / "file").write_text("")
        save(mesh, tmp_path / "file" / "mesh.glb")
    with pytest.raises(OutputError):
        save(mesh, "/proc/mesh.glb")


@pytest.mark.parametrize("ending", ["glb", "obj", "ply", "stl"])
def test_a_disk_that_fills_up_leaves_the_old_file(mesh, tmp_path, ending):
    path = tmp_path / f"mesh.{ending}"
    path.write_text("before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # the system refuses the 1001st byte
    try:
        with pytest.raises(OutputError, match="mesh"):
            save(mesh, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
