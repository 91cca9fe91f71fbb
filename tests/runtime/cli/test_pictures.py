"""The command line on packs that take a picture, that are not free for every use, and with little memory."""

import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.runtime.cli.test_bad_input import refused
from tests.runtime.tiny_pictures import build_both, build_instantmesh, build_steered

QUICK = ("--texture", "64", "--faces", "500", "--threads", "1")


@pytest.fixture(scope="session")
def packs(tmp_path_factory):
    """Folders of tiny packs that take a picture, by recipe."""
    folder = tmp_path_factory.mktemp("packs")
    return {"instantmesh": build_instantmesh(folder / "pictured", control=True), "sharp-it": build_steered(folder / "steered")}


@pytest.fixture(scope="session")
def mug(tmp_path_factory):
    """A picture file."""
    path = tmp_path_factory.mktemp("pictures") / "mug.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 4), np.uint8)).save(path)
    return path


def extras(path):
    data = path.read_bytes()
    return json.loads(data[20:20 + struct.unpack_from("<I", data, 12)[0]])["asset"]["extras"]


def test_a_picture_becomes_a_mesh(cli, packs, mug, tmp_path):
    kept = tmp_path / "kept"
    ended = cli("generate", "--image", mug, "--pack", packs["instantmesh"], *QUICK, "-o", tmp_path / "mug.glb", "--keep-stages", kept,
                "--json")
    assert ended.returncode == 0, ended.stderr
    lines = ended.stderr.splitlines()
    assert len(lines) == 5 and lines[0].startswith("[1/5] picture") and lines[4].startswith("[5/5] texture")
    assert set(os.listdir(kept)) == {"matte.png", "crop.png", "surface.ply", *(f"view_{i}.png" for i in range(6))}
    report, said = json.loads(ended.stdout), extras(tmp_path / "mug.glb")
    assert list(report["memory"]) == ["picture", "views", "reconstruction", "surface", "texture"]
    assert all(10 << 20 < peak < 64 << 30 for peak in report["memory"].values())
    assert "memory" not in said and said["image"]["width"] == 30
    assert said["license"] == {"id": "CC-BY-NC-4.0", "commercial_use": "no", "notes": ["not for sale"]}
    assert [source["license"] for source in said["sources"]] == ["CC-BY-NC-4.0", "Apache-2.0"]


def test_a_picture_and_a_prompt(main, packs, mug, tmp_path):
    ended = main("generate", "a red chair", "--image", mug, "--pack", packs["sharp-it"], *QUICK, "-o", tmp_path / "c.glb", "--quiet")
    assert ended.returncode == 0, ended.stderr
    assert extras(tmp_path / "c.glb")["prompt"] == "a red chair"


def test_control(main, packs, mug, tmp_path):
    Image.new("RGB", (64, 96), "red").save(tmp_path / "depth.png")
    command = ("generate", "--image", mug, "--pack", packs["instantmesh"], *QUICK, "--quiet", "-o", tmp_path / "mug.glb")
    ended = main(*command, "--control", tmp_path / "depth.png", "--control-scale", "0.75")
    assert ended.returncode == 0, ended.stderr
    said = extras(tmp_path / "mug.glb")
    assert said["options"]["control_scale"] == 0.75 and said["control"]["height"] == 96
    os.remove(tmp_path / "mug.glb")
    os.remove(tmp_path / "depth.png")
    refused(main(*command, "--control", mug), "does not fit over the grid of views; received 30 by 40 pixels", tmp_path)


@pytest.mark.parametrize(("arguments", "message"), [
    (("--pack", "instantmesh"), "the prompt is empty; describe what to make"),
    (("a red chair", "--pack", "instantmesh"), "makes meshes from pictures"),
    (("a red chair", "--image", "MUG", "--pack", "instantmesh"), "takes no prompts"),
    (("--image", "MUG", "--pack", "tiny"), "makes meshes from prompts"),
    (("--image", "nowhere.png", "--pack", "instantmesh"), "nowhere.png cannot be read"),
    (("--image", "/dev/null", "--pack", "instantmesh"), "/dev/null cannot be read; received a device; expected a regular file"),
    (("--image", "-", "--view", "90=-", "--pack", "instantmesh"), "standard input holds one picture; received - 2 times"),
    (("--image", "MUG", "--control-scale", "1", "--pack", "instantmesh"), "control_scale is given without a control picture"),
    (("--image", "MUG", "--prior-steps", "3", "--pack", "instantmesh"), "does not generate a coarse shape"),
    (("a red chair", "--memory", "some", "--pack", "tiny"), "unknown memory mode"),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else None)
def test_what_does_not_fit(main, packs, mug, tmp_path, arguments, message):
    known = {"instantmesh": packs["instantmesh"], "MUG": mug}
    ended = main("generate", *(known.get(argument, argument) for argument in arguments), *QUICK, "-o", tmp_path / "c.glb")
    refused(ended, message, tmp_path)


@pytest.mark.parametrize("use", ["no", "unknown"])
def test_commercial_use_is_refused_before_any_work(main, packs, mug, tmp_path, tmp_path_factory, use):
    """Before the picture is read and before the files are hashed, too: neither is as it should be here."""
    folder = build_instantmesh(tmp_path_factory.mktemp("packs") / "pictured")
    document = json.loads((folder / "pack.json").read_text())
    document["license"]["commercial_use"] = use
    (folder / "pack.json").write_text(json.dumps(document))
    altered = bytearray((folder / "views_step.onnx").read_bytes())
    altered[-1] ^= 1
    (folder / "views_step.onnx").write_bytes(altered)
    ended = main("generate", "--image", "nowhere.png", "--pack", folder, "--commercial", "-o", tmp_path / "c.glb")
    refused(ended, f"received licence CC-BY-NC-4.0, commercial use: {use}", tmp_path)


def test_commercial_use_that_is_allowed(main, tmp_path):
    assert main("generate", "a red chair", "--pack", "tiny", "--commercial", *QUICK, "-o", tmp_path / "c.glb").returncode == 0


def test_packs_show_the_licences_of_their_sources(packs):
    environment = {**os.environ, "MESHWRIGHT_PACKS": str(packs["instantmesh"])}
    command = [sys.executable, "-m", "meshwright.runtime.cli.main", "packs"]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60).stdout
    assert "licence CC-BY-NC-4.0 (commercial use: no)" in shown
    assert ("\n    not for sale\n    from views: CC-BY-NC-4.0 (commercial use: no)\n"
            "    from mesh: Apache-2.0 (commercial use: yes)\n") in shown
    listed = json.loads(subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, timeout=60).stdout)
    pack = next(pack for pack in listed["packs"] if pack["recipe"] == "instantmesh")
    assert pack["sources"][1] == {"name": "mesh", "license": "Apache-2.0", "commercial_use": "yes"}


def test_little_memory(main, tmp_path):
    for memory in ("low", "normal"):
        ended = main("generate", "a red chair", "--pack", "tiny", *QUICK, "--memory", memory, "-o", tmp_path / f"{memory}.stl", "--quiet")
        assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "low.stl").read_bytes() == (tmp_path / "normal.stl").read_bytes()
    assert main("verify", "tiny", "--memory", "low").returncode == 0


@pytest.fixture(scope="session")
def both(tmp_path_factory):
    """The folder of a tiny pack for prompts and pictures."""
    return build_both(tmp_path_factory.mktemp("packs") / "both")


def test_several_pictures(main, both, mug, tmp_path):
    ended = main("generate", "--view", f"0={mug}", "--view", f"90={mug}", "--pack", both, *QUICK, "-o", tmp_path / "mug.glb", "--json",
                 "--keep-stages", tmp_path / "kept")
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    assert said["route"] == "views" and [view["azimuth"] for view in said["views"]] == [90.0] and said["matte"] == "auto"
    assert {"matte.png", "crop.png", "matte_90.png", "crop_90.png"} <= set(os.listdir(tmp_path / "kept"))


def test_routes(main, both, mug, tmp_path):
    for arguments, route, stages in ((("--image", mug), "views", 5), (("--image", mug, "--route", "coarse"), "coarse", 9),
                                     (("a red chair", "--image", mug), "coarse", 9), (("a red chair",), "text", 8)):
        ended = main("generate", *arguments, "--pack", both, *QUICK, "-o", tmp_path / "mug.glb")
        assert ended.returncode == 0 and ended.stderr.splitlines()[-1].startswith(f"[{stages}/{stages}] texture")
        assert extras(tmp_path / "mug.glb")["route"] == route


def test_a_matte_of_ones_own(main, both, mug, tmp_path):
    Image.new("L", (30, 40), 255).save(tmp_path / "matte.png")
    for matte in ("none", "alpha", tmp_path / "matte.png"):
        ended = main("generate", "--image", mug, "--matte", matte, "--pack", both, *QUICK, "-o", tmp_path / "mug.glb", "--quiet")
        assert ended.returncode == 0, ended.stderr
    assert extras(tmp_path / "mug.glb")["matte"]["width"] == 30


@pytest.mark.parametrize(("arguments", "message"), [
    (("--view", "0=MUG", "--view", "90"), "a view is not AZIMUTH=FILE; received '90'"),
    (("--view", "front=MUG",), "a view is not AZIMUTH=FILE; received 'front="),
    (("--view", "0="), "a view is not AZIMUTH=FILE"),
    (("--view", "0=nowhere.png"), "nowhere.png cannot be read"),
    (("--view", "nan=MUG"), "the azimuth of a view is out of range"),
    (("--view", "0=MUG", "--view", "180=MUG"), "the pack has no view at 180 degrees"),
    (("--view", "0=MUG", "--view", "90=MUG", "--view", "90=MUG"), "two pictures have the same azimuth"),
    ([part for azimuth in range(0, 350, 50) for part in ("--view", f"{azimuth}=MUG")], "too many pictures; received 7; expected at most 6"),
    (("--image", "MUG", "--route", "scenic"), "the route is unknown"),
    (("--image", "MUG", "a red chair", "--route", "views"), "the route views takes no prompt"),
    (("--image", "MUG", "--matte", "nowhere.png"), "unknown matte; received 'nowhere.png'"),
    (("a red chair", "--matte", "none"), "route and matte need a picture"),
], ids=str)
def test_views_routes_and_mattes_that_do_not_fit(main, both, mug, tmp_path, arguments, message):
    given = [argument.replace("MUG", str(mug)) for argument in arguments]
    refused(main("generate", *given, "--pack", both, *QUICK, "-o", tmp_path / "c.glb"), message, tmp_path)
