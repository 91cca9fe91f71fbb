"""Nothing of a run is written over what it was made from, or over another of its files."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from meshwright.runtime import OutputError
from meshwright.runtime.cli.targets import Targets
from meshwright.runtime.files.overwriting import earlier_stages, is_stage_name
from meshwright.runtime.files.writer import save
from tests.runtime.recipes.test_routes import BLOCK
from tests.runtime.tiny_pictures import build_both

QUICK = ("--texture", "64", "--faces", "500", "--threads", "1", "--quiet")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The folder of a tiny pack for prompts and pictures."""
    return build_both(tmp_path_factory.mktemp("packs") / "both")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in, with a picture, a mesh, and stages of an earlier run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept").mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 4), np.uint8)).save("mug.png")
    shutil.copy("mug.png", "mug_color.png")
    Image.new("L", (40, 40), 255).save("kept/matte.png")
    for name in ("block.glb", "kept/coarse.glb"):
        save(BLOCK, name)
    return tmp_path


def textured():
    return BLOCK.replace(colors=None, uvs=np.full((4, 2), 0.5, np.float32), texture=np.full((4, 4, 3), 90, np.uint8))


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("arguments", "message"), [
    (("generate", "--image", "mug_color.png", "-o", "mug.obj"), "mug_color.png would be overwritten, but the run reads it"),
    (("generate", "--image", "mug_color.png", "-o", "kept/../mug.obj"), "mug_color.png would be overwritten"),
    (("generate", "--view", "0=mug_color.png", "-o", "mug.obj"), "mug_color.png would be overwritten"),
    (("generate", "--image", "mug.png", "-o", "m.glb", "--preview", "mug.png"), "mug.png would be overwritten"),
    (("generate", "--image", "mug.png", "--matte", "kept/matte.png", "-o", "m.glb", "--keep-stages", "kept"), "kept/matte.png would be"),
    (("refine", "kept/coarse.glb", "a red chair", "-o", "m.glb", "--keep-stages", "kept"), "kept/coarse.glb would be overwritten"),
    (("generate", "a red chair", "-o", "m.obj", "--preview", "m_color.png"), "m_color.png; received the name of the mesh's texture"),
    (("generate", "a red chair", "-o", "kept/coarse.glb", "--keep-stages", "kept"), "kept/coarse.glb would be written twice"),
    (("generate", "a red chair", "-o", "m.glb", "--preview", "view_3.png", "--keep-stages", "."), "view_3.png would be written twice"),
], ids=" ".join)
def test_nothing_is_overwritten_by_accident(main, both, here, arguments, message):
    before = contents(here)
    ended = main(*arguments, "--pack", both, *QUICK)
    assert ended.returncode == 2 and message in ended.stderr, ended.stderr
    assert contents(here) == before


@pytest.mark.parametrize(("arguments", "named"), [
    (("-o", f"{300 * 'x'}.glb"), f"{300 * 'x'}.glb"),
    (("-o", f"{248 * 'y'}.obj"), f"{248 * 'y'}_color.png"),
    (("-o", "m.glb", "--preview", f"{300 * 'x'}.png"), f"{300 * 'x'}.png"),
    (("-o", "m.glb", "--keep-stages", 300 * "x"), f"{300 * 'x'}/view_0.png"),
], ids=["output", "companion", "preview", "folder"])
def test_a_name_that_is_too_long_for_a_file_is_refused_before_the_work(main, both, here, arguments, named):
    before = contents(here)
    ended = main("generate", "a red chair", *arguments, "--pack", both, *QUICK)
    assert ended.returncode == 2 and ended.stderr.startswith(f"meshwright: {named}; received File name too long"), ended.stderr
    assert contents(here) == before


def test_a_mesh_may_be_called_after_its_picture(main, both, here):
    os.remove("mug_color.png")
    before = contents(here)
    ended = main("generate", "--image", "mug.png", "-o", "mug.obj", "--preview", "seen.png", "--pack", both, *QUICK)
    assert ended.returncode == 0, ended.stderr
    after = contents(here)
    assert before.items() <= after.items()
    assert {str(path) for path in after.keys() - before.keys()} == {"mug.obj", "mug.mtl", "mug_color.png", "seen.png"}


@pytest.mark.parametrize("link", [None, os.symlink, os.link], ids=["itself", "symlink", "hard-link"])
@pytest.mark.parametrize("linked", ["source", "target"])
@pytest.mark.parametrize(("source", "target", "arguments"), [
    ("block.glb", "block.glb", ("refine", "SOURCE", "a red chair", "-o", "TARGET")),
    ("mug_color.png", "mug_color.png", ("generate", "--image", "SOURCE", "-o", "mug.obj")),
    ("kept/matte.png", "kept/matte.png", ("generate", "--image", "mug.png", "--matte", "SOURCE", "-o", "m.glb", "--keep-stages", "kept")),
], ids=["output", "companion", "stage"])
def test_by_whatever_link_it_is_reached(main, both, here, link, linked, source, target, arguments):
    """A link to what is read may be what is written, or the other way round; one that stands where a file is written is one too."""
    if link is not None and linked == "source":
        source = "linked" + Path(source).suffix
        link(here / target, here / source)
    elif link is not None:
        os.rename(target, "real" + Path(target).suffix)
        source = "real" + Path(source).suffix
        link(here / source, here / target)
    before = contents(here)
    ended = main(*[{"SOURCE": source, "TARGET": target}.get(word, word) for word in arguments], "--pack", both, *QUICK)
    assert ended.returncode == 2 and f"{source} would be overwritten, but the run reads it" in ended.stderr, ended.stderr
    assert contents(here) == before


def test_a_folder_reached_by_a_link(main, both, here):
    os.symlink("kept", "other")
    ended = main("refine", "kept/coarse.glb", "a red chair", "-o", "other/coarse.glb", "--pack", both, *QUICK)
    assert ended.returncode == 2 and "kept/coarse.glb would be overwritten" in ended.stderr


def test_the_materials_and_pictures_of_a_mesh_stay(main, both, here):
    """They are known once the mesh has been read; the work has not begun then."""
    save(textured(), "chair.obj")
    os.rename("chair.obj", "stool.obj")  # so that only what it names is in the way
    before = contents(here)
    for arguments, name in ((("-o", "chair.obj"), "chair.mtl"), (("-o", "m.glb", "--preview", "chair_color.png"), "chair_color.png")):
        ended = main("refine", "stool.obj", "a red chair", *arguments, "--pack", both, "--texture", "64", "--threads", "1")
        assert ended.returncode == 2 and f"{name} would be overwritten" in ended.stderr and ended.stderr.count("\n") == 1, ended.stderr
    assert contents(here) == before


def test_the_files_of_the_pack_and_a_lora_stay(main, both, here):
    pack = shutil.copytree(both, here / "pack")
    document = json.loads((pack / "pack.json").read_text())
    name = document["components"]["refiner_step"]["file"]
    (pack / name).rename(pack / "refiner.glb")
    document["components"]["refiner_step"]["file"] = "refiner.glb"
    document["files"]["refiner.glb"] = document["files"].pop(name)
    (pack / "pack.json").write_text(json.dumps(document))
    os.link(pack / "pack.json", "sheet.png")
    before = contents(here)
    for arguments, said in ((("-o", "pack/refiner.glb"), "refiner.glb"), (("-o", "m.glb", "--preview", "sheet.png"), "pack.json"),
                            (("-o", "block.glb", "--lora", "block.glb"), "block.glb")):
        ended = main("generate", "a red chair", *arguments, "--pack", pack, *QUICK)
        assert ended.returncode == 2 and f"{said} would be overwritten" in ended.stderr, ended.stderr
    assert contents(here) == before


def test_a_file_on_standard_input_stays(cli, both, here):
    with open("mug_color.png", "rb") as file:
        ended = cli("generate", "--image", "-", "-o", "mug.obj", "--pack", both, *QUICK, stdin=file)
    assert ended.returncode == 2 and ended.stderr.startswith("meshwright: the file on standard input would be overwritten"), ended.stderr


@pytest.mark.parametrize(("name", "arguments"), [
    ("m.mtl", ("-o", "m.obj")), ("m_color.png", ("-o", "m.obj")), ("kept/view_0.png", ("-o", "m.glb", "--keep-stages", "kept")),
    ("m.png", ("-o", "m.glb", "--preview", "m.png"))], ids=str)
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_in_the_way_is_told_before_the_work(main, both, here, name, arguments, make):
    make(name)
    ended = main("generate", "a red chair", *arguments, "--pack", both, *QUICK)
    assert ended.returncode == 2 and name in ended.stderr and ended.stderr.count("\n") == 1, ended.stderr
    assert os.path.lexists(name) and not list(here.glob("m.[go]*"))


def test_names_that_are_one_on_some_systems():
    with pytest.raises(OutputError, match="the name of the mesh's texture"):
        Targets(Path("m.obj"), preview=Path("M_Color.PNG")).check()


def test_a_mesh_beside_the_one_it_was_made_from(main, both, here):
    before = contents(here)
    ended = main("refine", "block.glb", "a red chair", "-o", "red.glb", "--pack", both, *QUICK)
    assert ended.returncode == 0, ended.stderr
    assert before.items() <= contents(here).items() and contents(here).keys() - before.keys() == {Path("red.glb")}


def test_nothing_of_an_earlier_run_is_left_among_the_stages(main, both, here):
    """Nothing of ours: what somebody drew over, or put there under such a name, stays."""
    first = main("generate", "--image", "mug.png", "--view", "90=mug.png", "-o", "mug.glb", "--keep-stages", "run", "--pack", both, *QUICK)
    assert first.returncode == 0, first.stderr
    assert {"matte.png", "matte_90.png", "crop.png", "crop_90.png"} < set(os.listdir("run"))
    with Image.open("run/matte_90.png") as matte:
        matte.convert("L").save("run/matte_90.png")
    shutil.copy("mug.png", "run/view_9.png")
    shutil.copy("block.glb", "run/mine.glb")
    second = main("generate", "a red chair", "-o", "c.glb", "--keep-stages", "run", "--pack", both, *QUICK)
    assert second.returncode == 0, second.stderr
    ours = {"coarse.glb", "surface.ply", *(f"{name}_{i}.png" for name in ("view", "coarse_view") for i in range(6))}
    assert set(os.listdir("run")) == ours | {"matte_90.png", "view_9.png", "mine.glb"}
    assert {path.name for path in earlier_stages(Path("run"))} == ours


def test_a_folder_that_is_there_keeps_what_else_is_in_it(main, both, here):
    (here / "kept/notes.txt").write_text("mine")
    ended = main("generate", "--image", "mug.png", "-o", "mug.glb", "--keep-stages", "kept", "--pack", both, *QUICK)
    assert ended.returncode == 0, ended.stderr
    names = os.listdir(here / "kept")
    assert "notes.txt" in names and all(is_stage_name(name) for name in names if name != "notes.txt") and "view_5.png" in names


@pytest.mark.parametrize("options", [("--keep-stages", "/proc/stages"), ("--preview", "/proc/c.png")], ids=" ".join)
def test_places_that_take_no_files(main, both, here, options):
    """A folder in which the system makes nothing, not even for root."""
    before = contents(here)
    ended = main("generate", "a red chair", "-o", "m.glb", "--pack", both, *QUICK, *options)
    assert ended.returncode == 2 and "internal" not in ended.stderr and ended.stderr.count("\n") == 1, ended.stderr
    assert contents(here) == before


KILLED = """
import os, signal, sys
from meshwright.runtime.cli import main as cli

real = os.replace

def replace(source, target):
    real(source, target)
    if os.path.basename(target) == "c.mtl":
        os.kill(os.getpid(), signal.SIGKILL)

os.replace = replace
cli.main(sys.argv[1:])
"""


def test_the_next_run_finishes_what_a_kill_left(main, both, here):
    """Even the mesh that it reads: it is whole by then."""
    options = ("--pack", str(both), *QUICK, "--keep-stages", "run")
    assert main("generate", "a red chair", "-o", "c.obj", *options).returncode == 0
    old = contents(here)
    ended = subprocess.run([sys.executable, "-c", KILLED, "generate", "a blue table", "-o", "c.obj", "--seed", "7", *options])
    mixed = contents(here)
    assert ended.returncode == -signal.SIGKILL and mixed[Path("c.obj")] == old[Path("c.obj")]
    assert mixed[Path("c_color.png")] != old[Path("c_color.png")]
    last = main("refine", "c.obj", "a red chair", "-o", "red.glb", "--pack", both, *QUICK)
    assert last.returncode == 0, last.stderr
    mended = contents(here)
    assert mended[Path("c.obj")] != old[Path("c.obj")] and mended[Path("c_color.png")] == mixed[Path("c_color.png")]
    assert mended.keys() == old.keys() | {Path("red.glb")}
    again = main("generate", "a blue table", "-o", "c.obj", "--seed", "7", *options)
    assert again.returncode == 0
    after = contents(here)
    assert all(after[Path(name)] == mended[Path(name)] for name in ("c.obj", "c.mtl", "c_color.png", "run/view_3.png"))
