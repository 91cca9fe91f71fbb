"""`meshwright export` on small files of every published layout, and the runtime on the packs that come out."""

import contextlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from benchmarks.full_size.published import LAYOUTS, OTHERS
from meshwright.engines.onnxruntime.weights import ModelWeights
from meshwright.export import cli as command
from meshwright.export.onnx import onnx_file
from meshwright.runtime.cli import main as cli

QUICK = ["--threads", "1", "--faces", "400", "--texture", "64"]


@pytest.fixture(scope="module")
def small(published):
    """The folder with every layout."""
    return [published(name) for name in (*LAYOUTS, *OTHERS)][0].parent


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """A red disc on nothing, as high and wide as the grid of views, so that it also serves to control them."""
    path = tmp_path_factory.mktemp("pictures") / "disc.png"
    image = Image.new("RGBA", (128, 192))
    ImageDraw.Draw(image).ellipse((20, 40, 108, 128), fill=(200, 40, 40, 255))
    image.save(path)
    return path


def sharp_it(small, *options, refiner="Sharp-It", zero123plus="zero123plus-v1.2", shap_e="shap-e", instantmesh="instant_mesh_large.ckpt"):
    return ["sharp-it", "--refiner", str(small / refiner), "--zero123plus", str(small / zero123plus), "--shap-e", str(small / shap_e),
            *(["--instantmesh", str(small / instantmesh)] if instantmesh else []), "--view-size", "64", *map(str, options)]


def export(arguments):
    """Run in this process, which has PyTorch loaded; what it said while it worked."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert command.main(list(map(str, arguments))) == 0, said.getvalue()
    return said.getvalue()


def export_as_users_do(arguments):
    """Run as a command; what it said while it worked."""
    ended = subprocess.run([sys.executable, "-m", "meshwright.runtime.cli.main", "export", *arguments], capture_output=True, text=True,
                           timeout=600)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    return ended.stderr


@pytest.fixture(scope="module")
def from_text(small, tmp_path_factory):
    """A sharp-it pack in FP32, and what its export said."""
    pack = tmp_path_factory.mktemp("packs") / "from-text"
    return pack, export_as_users_do(sharp_it(small, "--precision", "fp32", "--coarse-points", 48, "--grid-resolution", 32, "-o", pack))


@pytest.fixture(scope="module")
def from_picture(small, tmp_path_factory):
    """An instantmesh pack with a NeRF and a ControlNet, stored in FP16."""
    pack = tmp_path_factory.mktemp("packs") / "from-picture"
    said = export(["instantmesh", "--zero123plus", str(small / "zero123plus-v1.1"), "--unet", str(small / "diffusion_pytorch_model.bin"),
                   "--controlnet", str(small / "controlnet"), "--instantnerf", str(small / "instant_nerf_base.ckpt"),
                   "--precision", "fp16", "--view-size", "64", "--grid-resolution", "64", "--name", "mine", "-o", str(pack)])
    return pack, said


@pytest.fixture(scope="module")
def steered(small, tmp_path_factory):
    """A sharp-it pack whose coarse shape starts from a picture, in FP32."""
    pack = tmp_path_factory.mktemp("packs") / "steered"
    export(sharp_it(small, "--precision", "fp32", "--coarse-points", 48, "--grid-resolution", 32, "-o", pack, shap_e="shap-e-img2img"))
    return pack


def document(pack):
    return json.loads((pack / "pack.json").read_text("utf-8"))


@pytest.mark.slow
def test_the_export_tells_what_it_does(from_text):
    lines = from_text[1].splitlines()
    assert lines[0].startswith("note: ") and "scheduler_config.json" in lines[0]
    assert lines[1] == "1/12 text_encoder ..."
    assert lines[2].startswith("1/12 text_encoder: ") and "parameters" in lines[2] and "relative error" in lines[2]
    assert lines[-2].startswith("12/12 field_color: ")
    assert lines[-1].endswith("licence Apache-2.0 AND CC-BY-NC-4.0 AND MIT, commercial use: no")


@pytest.mark.slow
def test_agreement_with_pytorch_is_on_record(from_text, from_picture):
    for (pack, _), limit, precision in ((from_text, 1e-4, "fp32"), (from_picture, 1e-2, "fp16")):
        components = document(pack)["components"]
        precisions = {kind: entry["precision"] for kind, entry in components.items()}
        assert precisions == {kind: "fp32" if kind.startswith("field") else precision for kind in components}
        assert {kind: entry["error"]["rel"] for kind, entry in components.items() if not entry["error"]["rel"] <= limit} == {}
        assert {entry["compute"] for entry in components.values()} == {"fp32"}


@pytest.mark.slow
def test_layers_in_8_bits(small, tmp_path, monkeypatch, capsys):
    """But for the prior, what makes weights, and fields. Of smaller layers too few errors would cancel."""
    monkeypatch.setattr(onnx_file, "MIN_HALF", 1024)
    pack = tmp_path / "small"
    asked = ("--precision", "int8", "--coarse-points", "48", "--grid-resolution", "32", "--quiet")
    assert command.main(sharp_it(small, *asked, "-o", pack)) == 0
    components = document(pack)["components"]
    of = {each: {kind for kind, entry in components.items() if entry["precision"] == each} for each in ("int8", "fp16", "fp32")}
    assert of["fp16"] == {"prior_step", "shap_e_params"} and all("field" in kind for kind in of["fp32"])
    assert of["int8"] == {"text_encoder", "prior_text_encoder", "vae_encoder", "refiner_step", "vae_decoder", "reconstructor"}
    assert all(ModelWeights(pack / components[kind]["file"]).in_8_bits for kind in of["int8"])
    assert not any(ModelWeights(pack / components[kind]["file"]).in_8_bits for kind in of["fp16"] | of["fp32"])
    assert {entry["compute"] for entry in components.values()} == {"fp32"}
    assert cli.main(["verify", str(pack), "--threads", "1"]) == 0
    assert capsys.readouterr().out.count(" ok\n") == len(components)


@pytest.mark.slow
def test_the_name_is_that_of_the_folder_or_the_one_given(from_text, from_picture):
    assert (document(from_text[0])["name"], document(from_picture[0])["name"]) == ("from-text", "mine")


@pytest.mark.slow
def test_packs_verify(from_text, from_picture, capsys):
    for (pack, _), count in ((from_text, 12), (from_picture, 8)):
        assert cli.main(["verify", str(pack), "--threads", "1"]) == 0
        assert capsys.readouterr().out.count(" ok\n") == count


@pytest.mark.slow
def test_graphs_in_fp32_are_right_on_what_users_give(from_text):
    components = document(from_text[0])["components"]
    assert {"noise", "cut-out on white", "cut-out on grey", "white"} == set(components["vae_encoder"]["errors"])
    for kind, entry in components.items():
        assert entry["error"]["rel"] == max(error["rel"] for error in entry["errors"].values())
        assert entry["error"]["rel"] < 5e-5, kind


@pytest.mark.slow
def test_a_prompt_becomes_a_mesh(from_text, tmp_path, capsys):
    assert cli.main(["generate", "a red chair", "--pack", str(from_text[0]), "--steps", "2", "--prior-steps", "2", *QUICK, "--json",
                     "-o", str(tmp_path / "chair.glb")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert 100 < report["mesh"]["faces"] <= 400 and report["mesh"]["watertight"]
    assert (tmp_path / "chair.glb").read_bytes()[:4] == b"glTF"


@pytest.mark.slow
def test_a_picture_becomes_a_mesh(from_picture, picture, tmp_path, capsys):
    assert cli.main(["generate", "--image", str(picture), "--control", str(picture), "--pack", str(from_picture[0]), "--steps", "2", *QUICK,
                     "--json", "-o", str(tmp_path / "disc.glb")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert 100 < report["mesh"]["faces"] <= 400 and report["mesh"]["watertight"]


@pytest.mark.slow
def test_a_picture_becomes_a_mesh_by_a_coarse_shape(steered, picture, tmp_path, capsys):
    """With a prompt and without, and with a second view that stays."""
    for given, count in (([], 1), (["a red chair"], 1), (["--view", f"90={picture}"], 2)):
        assert cli.main(["generate", *given, "--image", str(picture), "--pack", str(steered), "--steps", "2", "--prior-steps", "2", *QUICK,
                         "--json", "-o", str(tmp_path / "disc.glb"), "--keep-stages", str(tmp_path / f"{count}")]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["route"] == "coarse" and 100 < report["mesh"]["faces"] <= 400 and report["mesh"]["watertight"]
        assert len(list((tmp_path / f"{count}").glob("crop*.png"))) == count


@pytest.mark.slow
def test_several_pictures_become_a_mesh(from_picture, picture, tmp_path, capsys):
    assert cli.main(["generate", "--view", f"0={picture}", "--view", f"270={picture}", "--pack", str(from_picture[0]), "--steps", "2",
                     *QUICK, "--json", "-o", str(tmp_path / "disc.glb"), "--keep-stages", str(tmp_path / "kept")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["route"] == "views" and report["views"][0]["azimuth"] == 270 and report["mesh"]["watertight"]
    with Image.open(tmp_path / "kept" / "view_4.png") as view:  # at 270 degrees: the red disc, as it was given
        assert view.getpixel((32, 32)) == (200, 40, 40)


@pytest.mark.slow
def test_a_mesh_is_redrawn(from_text, tmp_path, capsys):
    (tmp_path / "block.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n")
    assert cli.main(["refine", str(tmp_path / "block.obj"), "a red chair", "--pack", str(from_text[0]), "--steps", "2", *QUICK, "--json",
                     "-o", str(tmp_path / "chair.glb")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["route"] == "refine"
    assert report["mesh"]["watertight"] and 100 < report["mesh"]["faces"] <= 400, report["mesh"]


@pytest.mark.slow
def test_commercial_use_is_refused(from_text, tmp_path, capsys):
    arguments = ["generate", "a red chair", "--commercial", "--pack", str(from_text[0]), "-o", str(tmp_path / "chair.glb")]
    assert cli.main(arguments) == 2
    assert "CC-BY-NC-4.0" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# Bad input: one line that says what is wrong, exit code 2, and nothing left behind.

def refused(capsys, out, arguments):
    before = sorted(out.parent.iterdir())
    assert command.main([*arguments, "--quiet", "-o", str(out)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert sorted(out.parent.iterdir()) == before
    return said.err


def test_a_mesh_checkpoint_where_a_nerf_is_named(small, tmp_path, capsys):
    arguments = sharp_it(small, "--instantnerf", small / "instant_mesh_large.ckpt", instantmesh=None)
    said = refused(capsys, tmp_path / "pack", arguments)
    assert "instant_mesh_large.ckpt is the other variant" in said and "expected a NeRF checkpoint" in said


def test_a_unet_of_zero123plus_as_refiner(small, tmp_path, capsys):
    said = refused(capsys, tmp_path / "pack", sharp_it(small, refiner="zero123plus-v1.2/unet"))
    assert "received 4 input channels; expected 8 input channels; give the folder of the Sharp-It UNet" in said


def test_a_folder_that_is_not_there(small, tmp_path, capsys):
    assert "no-such-folder' does not exist" in refused(capsys, tmp_path / "pack", sharp_it(small, shap_e="no-such-folder"))


def test_another_pipeline_than_the_one_meant(small, tmp_path, capsys):
    said = refused(capsys, tmp_path / "pack", sharp_it(small, zero123plus="shap-e"))
    assert "is not of Zero123++; received ShapEPipeline" in said


@pytest.mark.parametrize("option", ["unet", "controlnet", "instantmesh"])
def test_an_option_that_is_empty_is_not_left_out(small, tmp_path, capsys, option):
    given = {"zero123plus": small / "zero123plus-v1.2", "instantmesh": small / "instant_mesh_large.ckpt", option: ""}
    arguments = ["instantmesh", *(part for name, value in given.items() for part in (f"--{name}", str(value)))]
    assert "'' does not exist" in refused(capsys, tmp_path / "pack", arguments)


def test_a_place_where_no_pack_can_be(small, tmp_path, capsys):
    (tmp_path / "file").write_text("precious")
    for name, message in (("file/pack", "file is not a folder"), ("x" * 300, "no folder can be made"), ("a\0b", "no folder can be made")):
        assert command.main([*sharp_it(small), "-o", str(tmp_path / name)]) == 2
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_weights_that_were_cut_short(small, tmp_path, capsys):
    shutil.copytree(small / "Sharp-It", tmp_path / "cut" / "Sharp-It")
    weights = tmp_path / "cut" / "Sharp-It" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    said = refused(capsys, tmp_path / "pack", sharp_it(small, refiner=weights.parent))
    assert "diffusion_pytorch_model.safetensors is damaged" in said


def test_a_folder_in_the_way(small, tmp_path, capsys):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("precious")
    said = refused(capsys, tmp_path / "thesis", sharp_it(small))
    assert "thesis is in the way; expected an old pack, or nothing" in said
    assert (tmp_path / "thesis" / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize("arguments, message", [
    ([], "the following arguments are required: RECIPE"),
    (["triposr"], "invalid choice: 'triposr'"),
    (["sharp-it", "--steps", "0"], "argument --steps: 0 is less than 1"),
    (["sharp-it", "--view-size", "100"], "argument --view-size: 100 is not a multiple of 16"),
    (["sharp-it", "--elevations", "20,100"], "argument --elevations: 20,100 is not 1, 2, 3 or 6 angles of -89.9 to 89.9"),
    (["sharp-it", "--coarse-distance", "0"], "argument --coarse-distance: 0 is not above zero"),
    (["sharp-it", "--coarse-distance", "far"], "argument --coarse-distance: 'far' is not a number"),
    (["sharp-it", "--view-size", "1.5"], "argument --view-size: '1.5' is not a whole number"),
    (["instantmesh", "--elevations", "up"], "argument --elevations: 'up' is not a number"),
    (["instantmesh", "--guidance", "nan"], "argument --guidance: nan is not between 0 and 100"),
    (["sharp-it", "--prior-guidance", "101"], "argument --prior-guidance: 101 is not between 0 and 100"),
    (["sharp-it", "--prior-steps", "1001"], "argument --prior-steps: 1001 is more than 1000"),
    (["sharp-it", "--grid-resolution", "2"], "argument --grid-resolution: 2 is less than 3"),
    (["instantmesh", "--instantmesh", "a", "--instantnerf", "b"], "not allowed with argument")])
def test_options_that_make_no_sense(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        command.main(arguments)
    said = capsys.readouterr().err
    assert caught.value.code == 2 and message in said and said.count("\n") == 1


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from meshwright.runtime.cli import main as cli
sys.exit(cli.main(sys.argv[1:]))
"""


def test_a_missing_package_is_named(small, tmp_path):
    ended = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, "export", *sharp_it(small, "-o", tmp_path / "pack")], capture_output=True,
                           text=True, timeout=60)
    assert ended.returncode == 2 and not list(Path(tmp_path).iterdir())
    assert ended.stderr == "meshwright: the package torch is not installed; pip install 'meshwright[export]'\n"
