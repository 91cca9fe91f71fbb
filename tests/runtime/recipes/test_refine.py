"""A mesh of the user's, redrawn as a prompt says: by the library and by the command."""

import json

import numpy as np
import pytest
import trimesh

from meshwright.runtime import InputError, MeshFile, Notice, OutputError, Pipeline, read_mesh
from meshwright.runtime.files.writer import save
from meshwright.runtime.geometry.cameras import orbit
from meshwright.runtime.geometry.render import render_views
from meshwright.runtime.recipes.settings import drawing_settings
from meshwright.runtime.request import Request, mesh_hash
from tests.runtime.cli.test_bad_input import refused
from tests.runtime.files.gltf_files import base, painted
from tests.runtime.pack.test_pack import edit
from tests.runtime.recipes.test_routes import BLOCK, FAST, RED
from tests.runtime.tiny_pack import build

QUICK = ("--texture", "64", "--faces", "500", "--threads", "1")


@pytest.fixture(scope="module")
def block(tmp_path_factory):
    """The block as a GLB of ours."""
    path = tmp_path_factory.mktemp("meshes") / "block.glb"
    save(BLOCK, path)
    return path


def test_the_refiner_sees_the_mesh_and_reads_the_prompt(pipe, block):
    made, other = pipe.refine(block, "a red chair", **FAST), pipe.refine(block, "a blue table", **FAST)
    views = pipe.pack.manifest.views
    seen = render_views(read_mesh(block).mesh, orbit(views.azimuths, views.elevations, views.radius, views.fov), views.size)
    np.testing.assert_array_equal(made.stages.coarse_views, seen)
    np.testing.assert_array_equal(other.stages.coarse_views, seen)
    assert 0 < np.abs(made.stages.views - seen).mean() < 0.2 and not np.array_equal(made.stages.views, other.stages.views)


def test_a_mesh_may_be_given_as_it_is(pipe, block):
    made, from_file = pipe.refine(BLOCK, "a red chair", **FAST), pipe.refine(str(block), "a red chair", **FAST)
    assert np.abs(made.stages.views - from_file.stages.views).max() < 0.05  # a file has normals of its own, and 16-bit colours
    assert made.extras["refined_from"] == {"sha256": mesh_hash(BLOCK), "vertices": 4, "faces": 4}
    assert made.extras["route"] == "refine" and made.extras["prompt"] == "a red chair" and "image" not in made.extras
    assert "prior_steps" not in made.extras["options"]


def test_the_hash_is_of_what_is_seen():
    assert mesh_hash(BLOCK) == mesh_hash(BLOCK.replace(normals=BLOCK.vertex_normals()))
    assert len({mesh_hash(mesh) for mesh in (BLOCK, BLOCK.replace(colors=None), BLOCK.replace(vertices=2 * BLOCK.vertices))}) == 3


def test_the_same_again(pipe, block):
    first, second = (pipe.refine(block, "a red chair", **FAST) for _ in range(2))
    np.testing.assert_array_equal(first.stages.views, second.stages.views)
    np.testing.assert_array_equal(first.mesh.vertices, second.mesh.vertices)


def test_an_edit_has_steps_and_guidance_of_its_own(tmp_path):
    """Where the pack says so: against a coarse shape that says otherwise a prompt needs more than beside one made for it."""
    folder = build(tmp_path / "tiny")
    edit(folder, refiner__edit={"steps": 5, "guidance": 6.0})
    with Pipeline.open(folder, threads=1) as pipe:
        pack = pipe.pack.manifest

        def settled(*args, **options):
            found = drawing_settings(Request(*args, **options), pack, pack.refiner)
            return found.steps, found.guidance

        mesh = {"mesh": MeshFile(BLOCK)}
        assert settled("a red chair") == settled(image=RED) == (3, 2.0)
        assert settled("a red chair", **mesh) == settled("a red chair", image=RED) == (5, 6.0)
        assert settled("a red chair", **mesh, steps=2, guidance=0) == (2, 0)
        assert pipe.refine(BLOCK, "a red chair", **FAST).extras["options"]["steps"] == 5
        assert pipe.generate("a red chair", **FAST).extras["options"]["steps"] == 3


@pytest.mark.parametrize(("options", "message"), [
    ({"mesh": 5, "prompt": "a red chair"}, "mesh is not a mesh; received int; expected a MeshFile, as read_mesh returns"),
    ({"mesh": BLOCK}, "the prompt is empty; describe how the mesh should look"),
    ({"mesh": BLOCK, "prompt": "a red chair", "image": RED}, "a mesh is refined from its own views"),
    ({"mesh": BLOCK, "prompt": "a red chair", "route": "coarse"}, "route and matte need a picture"),
    ({"prompt": "a red chair", "matte": "none"}, "route and matte need a picture"),
    ({"image": RED, "route": "scenic"}, "the route is unknown; received 'scenic'; expected views, voxels, coarse"),
    ({"image": RED, "matte": "some"}, "unknown matte"),
], ids=str)
def test_requests_that_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Request.load(**options)


def test_the_command(main, block, tmp_path):
    ended = main("refine", block, "a blue chair", "--pack", "tiny", *QUICK, "-o", tmp_path / "blue.glb", "--json",
                 "--keep-stages", tmp_path / "kept", "--preview", tmp_path / "blue.png")
    assert ended.returncode == 0, ended.stderr
    assert [line[:14].split()[0] for line in ended.stderr.splitlines()] == [f"[{i}/6]" for i in range(1, 7)]
    report = json.loads(ended.stdout)
    assert report["route"] == "refine" and 4 < report["mesh"]["faces"] <= 500 and report["refined_from"]["faces"] == 4
    assert {"coarse.glb", "coarse_view_0.png", "view_5.png"} <= {path.name for path in (tmp_path / "kept").iterdir()}
    again = main("refine", tmp_path / "blue.glb", "a red chair", "--pack", "tiny", *QUICK, "-o", tmp_path / "red.obj", "--quiet")
    assert again.returncode == 0, again.stderr


def far_box(folder):
    """A box in a file of another tool, far from the origin, whose picture is not there."""
    file = painted(lambda file: {"name": "bark", **base(baseColorTexture={
        "index": file.add("textures", {"source": file.add("images", {"uri": "bark.png"})})})},
        uvs=np.zeros((8, 2)), POSITION=np.float32([[x, y, z] for x in (500, 600) for y in (0, 200) for z in (-20, 80)]))
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.uint16([[quad[0], quad[i], quad[i + 1]] for quad in quads for i in (1, 2)])
    file.document["meshes"][0]["primitives"][0]["indices"] = file.array(faces.ravel())
    (folder / "far.glb").write_bytes(file.glb())
    return folder / "far.glb"


NOTE = "a texture is left out: 'bark.png' is not there (material 'bark')"


def test_the_result_stands_where_the_input_stood(main, tmp_path):
    """In its size and units; the file says by which transform. What could not be read is said on the terminal and in the report."""
    ended = main("refine", far_box(tmp_path), "a blue chair", "--pack", "tiny", *QUICK, "-o", tmp_path / "out.glb", "--json",
                 "--keep-stages", tmp_path / "kept")
    assert ended.returncode == 0 and f"note: {NOTE}\n" in ended.stderr
    report = json.loads(ended.stdout)
    assert NOTE in report["notices"]
    placement = report["refined_from"]["placement"]
    assert placement == {"translation": pytest.approx([550, 100, 30]), "scale": pytest.approx(6 ** 0.5 * 50 / 0.97)}
    data = (tmp_path / "out.glb").read_bytes()
    document = json.loads(data[20:20 + int.from_bytes(data[12:16], "little")])
    assert document["asset"]["extras"]["refined_from"]["placement"] == placement
    np.testing.assert_allclose(trimesh.load_scene(tmp_path / "kept" / "coarse.glb").bounds, [[500, 0, -20], [600, 200, 80]], atol=1e-3)
    middle, reach = np.array(placement["translation"]), 1.1 * placement["scale"] * 0.97  # the tiny pack draws what it likes, around it
    low, high = trimesh.load_scene(tmp_path / "out.glb").bounds
    assert (low > middle - reach).all() and (high < middle + reach).all() and (high - low).max() > 0.2 * reach


@pytest.mark.parametrize("ending", ["obj", "ply", "stl"])
def test_other_formats_have_the_units_of_the_input_as_well(pipe, tmp_path, ending):
    made = pipe.refine(far_box(tmp_path), "a blue chair", **FAST)
    made.save(tmp_path / f"out.{ending}")
    x, y, z = (made.mesh.vertices.astype(np.float64) * made.placement.scale + [30, 550, 100]).T  # the world's axes: z, x, y of the file
    expected = np.stack([y, z, x] if ending == "obj" else [y, -x, z], axis=1)
    bounds = [expected.min(axis=0), expected.max(axis=0)]
    np.testing.assert_allclose(trimesh.load_scene(tmp_path / f"out.{ending}").bounds, bounds, rtol=1e-5)


def test_a_result_is_not_saved_over_the_mesh_that_it_was_made_from(pipe, tmp_path):
    """By another name of the same file neither."""
    mesh = far_box(tmp_path)
    before, made = mesh.read_bytes(), pipe.refine(mesh, "a blue chair", **FAST)
    (tmp_path / "link.glb").hardlink_to(mesh)
    for name in (mesh.name, "link.glb"):
        with pytest.raises(OutputError, match="far.glb would be overwritten, but the run reads it"):
            made.save(tmp_path / name)
    assert mesh.read_bytes() == before and made.save(tmp_path / "other.glb") == [tmp_path / "other.glb"]


def test_notices_of_a_mesh_are_events_of_the_run(pipe, tmp_path):
    read, events = read_mesh(far_box(tmp_path)), []
    made = pipe.refine(read, "a blue chair", on_event=events.append, **FAST)
    assert events[0] == Notice(NOTE) and NOTE in made.notices and read.sources == (tmp_path / "far.glb",)
    assert Request("a blue chair", mesh=read).mesh is read


def test_a_mesh_without_a_file_stays_in_metres(tmp_path):
    """As the pack says how long its units are; a file has its own."""
    folder = build(tmp_path / "tiny")
    edit(folder, metres_per_unit=3.0)
    save(BLOCK, tmp_path / "block.glb")
    with Pipeline.open(folder, threads=1) as pipe:
        for mesh, metres in ((BLOCK, 3.0), (tmp_path / "block.glb", 1.0)):
            made = pipe.refine(mesh, "a red chair", **FAST)
            made.save(tmp_path / "out.glb")
            extents = trimesh.load_scene(tmp_path / "out.glb").extents
            np.testing.assert_allclose(extents, metres * np.ptp(made.mesh.vertices, axis=0)[[1, 2, 0]], rtol=1e-5)


@pytest.mark.parametrize(("mesh", "prompt", "message"), [
    ("nowhere.glb", "a red chair", "the mesh nowhere.glb cannot be read"),
    ("/dev/null", "a red chair", "the mesh /dev/null has an unknown file extension"),
    ("BLOCK", "", "the prompt is empty"),
    ("BLOCK", "a red\nchair", "control character"),
    (".", "a red chair", "unknown file extension"),
], ids=str)
def test_bad_input(main, block, tmp_path, mesh, prompt, message):
    mesh = block if mesh == "BLOCK" else mesh
    refused(main("refine", mesh, prompt, "--pack", "tiny", *QUICK, "-o", tmp_path / "c.glb"), message, tmp_path)


@pytest.mark.parametrize(("changes", "message"), [
    ({"vertices": np.zeros((0, 3), np.float32), "colors": None}, "the mesh has no surface; received faces of nonexistent vertices"),
    ({"vertices": BLOCK.vertices.tolist()}, "the mesh has no usable vertices; received list"),
    ({"vertices": BLOCK.vertices[:, :2]}, r"no usable vertices; received float32 \(4, 2\)"),
    ({"vertices": BLOCK.vertices * np.float32("nan")}, "received positions that are not finite"),
    ({"vertices": np.ones((4, 3), np.float32)}, "received a point"),
    ({"faces": np.zeros((0, 3), np.int32)}, "the mesh has no surface; received no triangles"),
    ({"faces": BLOCK.faces + 1}, "received faces of nonexistent vertices"),
    ({"faces": BLOCK.faces - 1}, "received faces of nonexistent vertices"),
    ({"faces": None}, "no usable faces; received NoneType"),
    ({"faces": BLOCK.faces.astype(np.float32)}, "no usable faces; received float32"),
    ({"colors": BLOCK.colors[:3]}, r"no usable colors; received uint8 \(3, 3\)"),
    ({"colors": BLOCK.colors / 255}, "no usable colors; received float64"),
    ({"uvs": np.zeros((3, 2), np.float32)}, "no usable uvs"),
], ids=str)
def test_meshes_that_cannot_be_redrawn(pipe, changes, message):
    with pytest.raises(InputError, match=message):
        pipe.refine(BLOCK.replace(**changes), "a red chair", **FAST)


def test_without_a_mesh_there_is_nothing_to_refine(pipe):
    """Not a mesh made from the prompt alone."""
    with pytest.raises(InputError, match="there is no mesh to refine"):
        pipe.refine(None, "a red chair", **FAST)
