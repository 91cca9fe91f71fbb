"""A new texture for a mesh that stays as it is: by the projection itself, by the library and by the command."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from meshwright.runtime import InputError, MeshFile, Pipeline, read_mesh
from meshwright.runtime.events import StageStarted, Step
from meshwright.runtime.files.reader import Placement
from meshwright.runtime.files.writer import save
from meshwright.runtime.geometry.cameras import orbit
from meshwright.runtime.geometry.mesh import Mesh
from meshwright.runtime.geometry.render import render_views
from meshwright.runtime.recipes.given_mesh import in_its_place, on_one_sheet, painted_mesh
from meshwright.runtime.request import Request
from tests.runtime.recipes.test_routes import BLOCK, RED
from tests.runtime.recipes.test_texture import run
from tests.runtime.tiny_pictures import build_both

SMALL = {"texture": 64, "seed": 3}
NAMES = ("vertices", "faces", "uvs")
FRONT_AND_BACK = (0.0, 180.0), (0.0, 0.0)  # azimuths and elevations of two cameras


def two_squares():
    """A square that looks to the front (+x), in the left half of the texture, and one that looks to the back, in the right half."""
    y, z = np.float32([-0.5, 0.5, 0.5, -0.5]), np.float32([0.5, 0.5, -0.5, -0.5])
    front = np.stack([np.full(4, 0.2, np.float32), y, z], axis=1)
    back = np.stack([np.full(4, -0.2, np.float32), -y, z], axis=1)
    uvs = np.float32([[0, 0], [0.5, 0], [0.5, 1], [0, 1]])
    faces = np.array([[0, 2, 1], [0, 3, 2]], np.int32)
    return Mesh(np.concatenate([front, back]), np.concatenate([faces, faces + 4]),
                np.repeat(np.float32([[1, 0, 0], [-1, 0, 0]]), 4, axis=0), np.concatenate([uvs, uvs + np.float32([0.5, 0])]))


def paint(mesh, views, cameras, **more):
    """The events and the mesh, painted by views of 64 pixels, each of one colour (n, 3)."""
    pack = SimpleNamespace(views=SimpleNamespace(background=1.0, lit=False), finish=SimpleNamespace(texture=64), quality={})
    images = np.tile(np.float32(views)[:, None, None], (1, 64, 64, 1))
    return run(painted_mesh(MeshFile(mesh, **more), images, orbit(*cameras), Request("x", texture=64), pack))


def test_a_face_that_one_view_sees_has_the_colour_of_that_view():
    events, made = paint(two_squares(), [[1, 0, 0], [0, 0, 1]], FRONT_AND_BACK)
    assert events == []
    for name in NAMES:
        np.testing.assert_array_equal(getattr(made, name), getattr(two_squares(), name))
    assert (made.texture[:, :32] == [255, 0, 0]).all() and (made.texture[:, 32:] == [0, 0, 255]).all()


@pytest.mark.parametrize("white", [False, True])
def test_a_gap_in_a_redrawn_view_is_not_painted_white(white):
    """The refiner leaves a hole in the red square at the front, where the mesh has none. If all of it is white, that was meant."""
    mesh, cameras = two_squares(), orbit(*FRONT_AND_BACK)
    red = mesh.replace(colors=np.repeat(np.uint8([[200, 20, 20]]), 8, axis=0))
    guide = render_views(red, cameras, 64)
    views = guide.copy()
    if white:
        views[:] = render_views(red.replace(colors=np.full((8, 3), 255, np.uint8)), cameras, 64)
    else:
        views[0, 29:34, 29:34] = 1.0
    pack = SimpleNamespace(views=SimpleNamespace(background=1.0, lit=True), finish=SimpleNamespace(texture=64), quality={})
    texture = run(painted_mesh(MeshFile(mesh), views, cameras, Request("x", texture=64), pack, guide))[1].texture.astype(int)
    assert np.abs(texture - ([255, 255, 255] if white else [200, 20, 20])).max() < 20  # the outline mixes in a little


def test_what_no_view_sees_is_filled_from_what_is_seen():
    """The square at the back is not connected to the other: it gets the mean of all that was seen, which is one colour."""
    made = paint(two_squares(), [[1, 0, 0]], ([0.0], [0.0]))[1]
    assert (made.texture == [255, 0, 0]).all()


def test_shared_texels_are_noticed():
    mesh = two_squares()
    mirrored = mesh.replace(uvs=np.concatenate([mesh.uvs[:4], mesh.uvs[:4]]))
    events, made = paint(mirrored, [[1, 0, 0], [0, 0, 1]], FRONT_AND_BACK)
    assert [event.message[:49] for event in events] == ["100 % of the texture is shared by several faces, "]
    np.testing.assert_array_equal(made.uvs, mirrored.uvs)
    assert (made.texture[:, :32] == [255, 0, 0]).all()  # the face that comes first has it


def test_coordinates_beyond_the_texture_stay_and_are_painted_where_it_repeats():
    mesh = two_squares()
    moved = mesh.replace(uvs=mesh.uvs + np.float32([2, -3]))
    made = paint(moved, [[1, 0, 0], [0, 0, 1]], FRONT_AND_BACK)[1]
    np.testing.assert_array_equal(made.uvs, moved.uvs)
    assert (made.texture[:, :32] == [255, 0, 0]).all() and (made.texture[:, 32:] == [0, 0, 255]).all()


def test_a_file_says_that_its_texture_repeats_where_it_is_needed(tmp_path):
    """So that coordinates moved by whole sides look as those within the texture do."""
    texture = np.repeat(np.uint8([[[255, 0, 0]] * 4 + [[0, 0, 255]] * 4]), 8, axis=0)
    inside, views = two_squares().replace(texture=texture), []
    for name, shift in (("inside", [0, 0]), ("moved", [2, -3])):
        save(inside.replace(uvs=inside.uvs + np.float32(shift)), tmp_path / f"{name}.glb")
        views.append(render_views(read_mesh(tmp_path / f"{name}.glb").mesh, orbit(*FRONT_AND_BACK), 32))
    assert np.abs(views[0] - views[1]).mean() < 0.01 and views[0].std() > 0.1


def test_a_face_across_the_border_is_there_on_both_sides():
    """A triangle from u = 0.75 to 1.25, and one inside."""
    surface = Mesh(np.zeros((6, 3), np.float32), np.arange(6, dtype=np.int32).reshape(2, 3),
                   uvs=np.float32([[0.75, 0.5], [1.25, 0.5], [0.75, 0.75], [0, 0], [1, 0], [0, 1]]))
    sheet = on_one_sheet(surface, surface)
    np.testing.assert_array_equal(sheet.uvs[sheet.faces].reshape(-1, 2), [
        [0.75, 0.5], [1.25, 0.5], [0.75, 0.75], [0, 0], [1, 0], [0, 1], [-0.25, 0.5], [0.25, 0.5], [-0.25, 0.75]])


def test_coordinates_are_made_only_where_there_are_none():
    bare = two_squares().replace(uvs=None)
    events, made = paint(bare, [[1, 0, 0], [0, 0, 1]], FRONT_AND_BACK)
    assert events == [] and made.uvs.min() >= 0 and made.uvs.max() <= 1
    np.testing.assert_array_equal(made.vertices[made.faces], bare.vertices[bare.faces])


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A file that our reader moves and scales: two squares of 7 units, far from the middle."""
    path = tmp_path_factory.mktemp("meshes") / "squares.glb"
    squares = two_squares()
    save(squares.replace(vertices=squares.vertices * np.float32(7) + np.float32([3, 0.1, -5]),
                         texture=np.full((8, 8, 3), 90, np.uint8)), path)
    return path


def arrays(path):
    return read_mesh(path).original


@pytest.mark.parametrize("ending", ["glb", "obj"])
def test_a_file_keeps_its_vertices_faces_and_coordinates(pipe, file, tmp_path, ending):
    made = pipe.texture(file, "a red chair", **SMALL)
    assert read_mesh(file).placement != Placement() == made.placement and made.extras["route"] == "texture"
    assert made.mesh.texture.shape == (64, 64, 3) and not (made.mesh.texture == 90).all()
    assert set(made.extras["options"]) == {"steps", "guidance", "texture"}
    made.save(tmp_path / f"out.{ending}")
    before, after = arrays(file), arrays(tmp_path / f"out.{ending}")
    for name in NAMES:
        old, new = (getattr(mesh, name) for mesh in (before, after))
        if ending == "glb":
            np.testing.assert_array_equal(old, new)
        elif name != "faces":
            np.testing.assert_allclose(old[before.faces], new[after.faces], atol=1e-6)
    np.testing.assert_array_equal(in_its_place(read_mesh(file)).vertices, before.vertices[before.faces.ravel()])


def test_a_file_without_a_texture_keeps_its_coordinates(pipe, tmp_path):
    """They are read although nothing uses them."""
    from tests.runtime.files.gltf_files import painted

    squares = two_squares()
    gltf = painted(lambda file: {"name": "plain"}, uvs=squares.uvs, POSITION=squares.vertices[:, [1, 2, 0]])
    gltf.document["meshes"][0]["primitives"][0]["indices"] = gltf.array(squares.faces.astype(np.uint16).ravel())
    (tmp_path / "plain.glb").write_bytes(gltf.glb())
    made = pipe.texture(tmp_path / "plain.glb", "a red chair", **SMALL)
    np.testing.assert_array_equal(made.mesh.uvs[made.mesh.faces], squares.uvs[squares.faces])
    np.testing.assert_array_equal(made.mesh.vertices[made.mesh.faces], squares.vertices[squares.faces])


def test_progress_and_the_same_again(pipe, file):
    events = []
    first, second = (pipe.texture(file, "a red chair", on_event=events.append, **SMALL) for _ in range(2))
    np.testing.assert_array_equal(first.mesh.texture, second.mesh.texture)
    request = Request.load("a red chair", mesh=file, route="texture")
    started = [event.stage for event in events if isinstance(event, StageStarted)]
    assert started == 2 * [*pipe.stages_of(request)] == 2 * ["text", "coarse views", "refined views", "texture"]
    assert any(isinstance(event, Step) for event in events)
    other = pipe.texture(file, "a red chair", texture=64, seed=4)
    assert not np.array_equal(first.mesh.texture, other.mesh.texture)


@pytest.mark.parametrize(("options", "message"), [
    ({"prompt": "a red chair", "route": "texture"}, "the route texture needs a mesh"),
    ({"prompt": "a red chair", "route": "texture", "mesh": BLOCK, "faces": 50}, "faces has no effect; received 50"),
    ({"prompt": "a red chair", "route": "texture", "mesh": BLOCK, "texture_from": "field"}, "texture_from has no effect"),
    ({"route": "texture", "mesh": BLOCK}, "the prompt is empty"),
    ({"route": "texture", "mesh": BLOCK, "views": {0: RED, 90: RED}}, "a mesh takes one picture of its look; received 2 pictures"),
], ids=str)
def test_requests_that_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Request.load(**options)


def test_without_a_mesh_there_is_nothing_to_texture(pipe):
    with pytest.raises(InputError, match="there is no mesh to texture"):
        pipe.texture(None, "a red chair")


def test_the_command_makes_variants(main, file, tmp_path):
    ended = main("texture", file, "a red chair", "--pack", "tiny", "--texture", "64", "--threads", "1", "--seeds", "0-1,5",
                 "-o", tmp_path / "red.glb", "--json")
    assert ended.returncode == 0, ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["red_0.glb", "red_1.glb", "red_5.glb"]
    assert [report["seed"] for report in json.loads(ended.stdout)["variants"]] == [0, 1, 5]
    made = [read_mesh(tmp_path / f"red_{seed}.glb").mesh.texture for seed in (0, 1)]
    assert not np.array_equal(*made)
    for bad in ("3-1", "a", "", "0-5000"):
        ended = main("texture", file, "a red chair", "--pack", "tiny", "--seeds", bad, "-o", tmp_path / "bad.glb")
        assert ended.returncode == 2 and "seeds are not FIRST-LAST" in ended.stderr


def test_a_picture_is_the_first_view(tmp_path, file):
    """It is not redrawn, and the faces that the first view sees take its colour."""
    with Pipeline.open(build_both(tmp_path / "both"), threads=1) as pipe:
        made = pipe.texture(file, image=RED, **SMALL)
        assert "the picture is used as the view at 30 degrees, 20 above the horizon" in made.notices
        first = made.stages.views[0]
        seen = np.abs(made.stages.coarse_views[0] - 1).max(axis=-1) > 0.1
        assert np.abs(first[seen] - np.float32([200, 30, 30]) / 255).max(axis=-1).mean() < 0.1
        assert made.extras["image"]["sha256"] == RED.sha256 and len(made.stages.cutouts) == 1


def test_a_pack_without_pictures_takes_none(pipe, file):
    with pytest.raises(InputError, match="takes no picture of a mesh's look"):
        pipe.texture(file, image=RED, **SMALL)
