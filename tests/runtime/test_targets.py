"""Nothing of a run is written over what it was made from, or over another of its files."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from meshwright.runtime import OutputError
from meshwright.runtime.stage_files import is_stage_name
from meshwright.runtime.meshes.formats import save
from meshwright.runtime.targets import Targets
from tests.runtime.test_routes import BLOCK
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


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("arguments", "message"), [
    (("generate", "--image", "mug_color.png", "-o", "mug.obj"), "mug_color.png would be overwritten, and the mesh is made from it"),
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


def test_a_mesh_may_be_called_after_its_picture(main, both, here):
    os.remove("mug_color.png")
    before = contents(here)
    ended = main("generate", "--image", "mug.png", "-o", "mug.obj", "--preview", "seen.png", "--pack", both, *QUICK)
    assert ended.returncode == 0, ended.stderr
    after = contents(here)
    assert before.items() <= after.items()
    assert {str(path) for path in after.keys() - before.keys()} == {"mug.obj", "mug.mtl", "mug_color.png", "seen.png"}


def test_a_mesh_may_take_the_place_of_the_one_it_was_made_from(main, both, here):
    before = contents(here)
    ended = main("refine", "block.glb", "a red chair", "-o", "block.glb", "--pack", both, *QUICK)
    assert ended.returncode == 0, ended.stderr
    assert [path for path, data in contents(here).items() if before.get(path) != data] == [Path("block.glb")]


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


def test_links_are_places_of_their_own(here):
    """What is written replaces a link; what that leads to stays."""
    os.symlink("mug.png", "linked_color.png")
    Targets(Path("linked.obj")).check([Path("mug.png")])
    with pytest.raises(OutputError, match="linked_color.png would be overwritten"):
        Targets(Path("linked.obj")).check([here / "linked_color.png"])
