"""Shape first, look later: meshes without a texture, seeds of the two, and runs that are kept and continued."""

import json
import os
import shutil

import numpy as np
import pytest

from meshwright.runtime import InputError, OutputError, Pipeline, Request, StageStarted, read_mesh, read_run
from meshwright.runtime.assets.options import AssetOptions
from meshwright.runtime.recipes.sharp_it import STAGES
from tests.runtime.recipes.test_routes import BLOCK, RED
from tests.runtime.tiny_pictures import build_both

SMALL = {"seed": 3, "faces": 300, "texture": 64}
ARRAYS = ("vertices", "faces", "uvs", "texture")


@pytest.fixture(scope="module")
def made(pipe):
    return pipe.generate("a red chair", **SMALL)


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "chair"
    assert [path.name for path in made.save_run(folder)] == ["run.json", "stages.npz"]
    return folder


def same(one, two, names=ARRAYS):
    return all(np.array_equal(getattr(one.mesh, name), getattr(two.mesh, name)) for name in names)


def stages(pipe, *prompt, **options):
    events = []
    made = pipe.generate(*prompt, on_event=events.append, **options)
    begun = tuple(event.stage for event in events if isinstance(event, StageStarted))
    assert begun == pipe.stages_of(Request.load(*prompt, **options)) == tuple(list(made.timings)[:-2])
    return begun, made


def test_a_shape_without_a_texture(pipe, made):
    begun, plain = stages(pipe, "a red chair", seed=3, faces=300, textured=False)
    assert begun == (*STAGES[:-1], "mesh")
    assert plain.mesh.texture is None and plain.mesh.uvs is None and plain.mesh.colors.shape == plain.mesh.vertices.shape
    assert len(plain.mesh.faces) == len(made.mesh.faces) and plain.extras["options"]["texture"] is None
    levels = plain.asset(AssetOptions(lods=(0.5,))).levels
    assert all(level.mesh.texture is None and level.mesh.colors is not None for level in levels)


def test_seeds_of_shape_and_look(pipe, made):
    """Equal ones are one seed; another one of the look leaves the shape as it is, to the bit."""
    assert same(made, pipe.generate("a red chair", **SMALL | {"seed": 8}, geometry_seed=3, texture_seed=3))
    begun, other = stages(pipe, "a red chair", **SMALL, texture_seed=4)
    assert begun == (*STAGES[:-1], "texture views", "texture")
    assert same(made, other, ("vertices", "faces", "uvs")) and not same(made, other)
    assert other.extras["seed"] == 3 and other.extras["texture_seed"] == 4
    assert not same(other, pipe.generate("a red chair", **SMALL, texture_seed=5))
    assert not same(made, pipe.generate("a red chair", **SMALL | {"seed": 4}), ("vertices",))


def test_a_run_goes_on(pipe, made, folder):
    begun, again = stages(pipe, run=folder)
    assert begun == ("texture",) and same(made, again) and again.stages.surface.faces.shape == made.stages.surface.faces.shape
    assert {**again.provenance, "continued_from": None} == {**made.provenance, "continued_from": None}
    assert again.provenance["continued_from"] == read_run(folder).sha256
    assert len(pipe.generate(run=folder, faces=100, texture=128).mesh.faces) <= 100
    assert pipe.generate(run=folder, textured=False).mesh.texture is None
    begun, other = stages(pipe, run=folder, texture_seed=4)
    assert begun == ("texture views", "texture") and same(other, pipe.generate("a red chair", **SMALL, texture_seed=4))
    words = pipe.generate("a blue chair", run=folder)
    assert words.provenance["look"]["prompt"] == "a blue chair" and words.provenance["prompt"] == "a red chair"
    assert same(made, words, ("vertices", "faces", "uvs")) and not same(made, words)


def test_an_untextured_run_gets_its_texture_later(pipe, made, tmp_path):
    pipe.generate("a red chair", seed=3, faces=300, textured=False).save_run(tmp_path / "run")
    assert same(made, pipe.generate(run=tmp_path / "run", texture=64))


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"image": RED, "route": "views"}, {"image": RED, "prompt": "a red chair"},
                                     {"mesh": BLOCK, "prompt": "a red chair"}], ids=["views", "coarse", "refine"])
def test_every_route(options, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packs")
    with Pipeline.open(build_both(folder / "both"), threads=1) as both:
        first = both.generate(options.get("prompt", ""), **{k: v for k, v in options.items() if k != "prompt"}, **SMALL)
        first.save_run(folder / "run")
        again, other = both.generate(run=folder / "run"), both.generate(run=folder / "run", texture_seed=4)
        assert same(first, again) and same(first, other, ("vertices", "faces")) and again.placement == first.placement
        whole = both.generate(options.get("prompt", ""), **{k: v for k, v in options.items() if k != "prompt"}, **SMALL, texture_seed=4)
        assert same(whole, other)


@pytest.mark.parametrize(("options", "message"), [
    ({"textured": False, "texture": 64}, "a mesh without a texture is asked for, and texture has no effect; received 64"),
    ({"textured": False, "texture_seed": 1}, "texture_seed has no effect"),
    ({"textured": 1}, "textured is not a yes or a no"),
    ({"texture_seed": -1}, "texture_seed is out of range"),
    ({"run": "RUN", "seed": 4}, "a saved run has its shape, and seed has no effect; received 4; leave it out; texture_seed and a prompt"),
    ({"run": "RUN", "image": RED}, "image has no effect; received Picture"),
    ({"run": "RUN", "steps": 2}, "the views of the run are drawn already; received steps; expected neither; give a texture_seed"),
], ids=str)
def test_what_has_no_effect_is_refused(pipe, folder, options, message):
    if "run" in options:
        options = {**options, "run": folder}
    with pytest.raises(InputError, match=message):
        pipe.stream("" if "run" in options else "a red chair", **options)


def test_another_pack_is_refused_by_name(folder, tmp_path):
    other = build_both(tmp_path / "both")
    message = "was made by another pack; received tiny .*; expected tiny"
    with Pipeline.open(other, threads=1) as pipe, pytest.raises(InputError, match=message):
        pipe.generate(run=folder)


def damage(folder, what):
    run, stages = folder / "run.json", folder / "stages.npz"
    said = json.loads(run.read_text())
    if what == "a byte":
        data = bytearray(stages.read_bytes())
        data[len(data) // 2] ^= 1
        stages.write_bytes(data)
    elif what == "cut":
        stages.write_bytes(stages.read_bytes()[:-100])
    elif what == "gone":
        stages.unlink()
    elif what == "no json":
        run.write_text("{")
    elif what == "list":
        run.write_text("[]")
    else:
        run.write_text(json.dumps({**said, **what}))


@pytest.mark.parametrize(("what", "message"), [
    ("a byte", "is damaged; received the hash of stages.npz differs; make it again with --save-run"), ("cut", "is damaged"),
    ("gone", "cannot be read"), ("no json", "is not a saved run"), ("list", "is not a saved run"),
    ({"meshwright_run": 2}, "is of a version that is not supported; received 2; expected 1"), ({"pack": {}}, "is damaged"),
    ({"route": "texture"}, "is damaged"), ({"azimuths": [0]}, "is damaged"), ({"placement": {"scale": 1}}, "is damaged"),
    ({"request": {"mesh": 1}}, "is damaged"), ({"request": {"prompt": "a red chair", "seed": "x"}}, "seed is out of range"),
], ids=str)
def test_damaged_runs_are_refused(pipe, folder, tmp_path, what, message):
    shutil.copytree(folder, tmp_path / "run")
    damage(tmp_path / "run", what)
    with pytest.raises(InputError, match=message):
        pipe.generate(run=tmp_path / "run")


def test_nothing_else_is_replaced(made, pipe, folder, tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(OutputError, match="run.json is in the way of a saved run"):
        made.save_run(tmp_path)
    with pytest.raises(OutputError, match="would be overwritten, but the run reads it"):
        pipe.generate(run=folder).save_run(folder)
    made.save_run(folder)  # the same bytes again
    assert same(made, pipe.generate(run=folder))
    textured = pipe.texture(BLOCK, "a red chair", seed=3, texture=64)
    with pytest.raises(OutputError, match="there is no run to be kept"):
        textured.save_run(tmp_path / "other")


def test_the_command_line(main, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quick = ("--pack", "tiny", "--threads", 1, "--quiet")
    assert main("generate", "a red chair", "-o", "a.glb", "--no-texture", "--save-run", "run", "--faces", 300, *quick).returncode == 0
    assert read_mesh("a.glb").mesh.texture is None and sorted(os.listdir("run")) == ["run.json", "stages.npz"]
    assert main("generate", "--from", "run", "-o", "b.glb", "--texture", 64, *quick).returncode == 0
    assert read_mesh("b.glb").mesh.texture.shape == (64, 64, 3)
    assert main("texture", "--from", "run", "a blue chair", "-o", "c.glb", "--texture", 64, "--seeds", "1-2", *quick[:-1]).returncode == 0
    assert {"c_1.glb", "c_2.glb"} <= {path.name for path in tmp_path.iterdir()}
    for arguments, message in (
            (("texture", "-o", "d.glb"), "there is no mesh"),
            (("texture", "a.glb", "blue", "--from", "run", "-o", "d.glb"), "a mesh and a run"),
            (("generate", "--from", "nowhere", "-o", "d.glb"), "the run nowhere cannot be read"),
            (("generate", "--from", "run", "-o", "d.glb", "--save-run", "run"), "would be overwritten, but the run reads it"),
            (("generate", "a red chair", "-o", "d.glb", "--save-run", "a.glb"), "a.glb cannot be written")):
        done = main(*arguments, *quick)
        assert done.returncode == 2 and message in done.stderr, done.stderr
    assert not (tmp_path / "d.glb").exists()
