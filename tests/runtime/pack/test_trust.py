"""Packs from elsewhere: refused until someone trusts them, and what they hold steers neither the process nor the terminal."""

import hashlib
import json
import os
import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from meshwright.engines.files import trust as trust_file
from meshwright.engines.files.trust import EXPORTED, trust
from meshwright.runtime import Pack, PackFormat, PackUntrusted, Pipeline
from tests.runtime.pack.test_pack import edit


@pytest.fixture
def stranger(tiny, tmp_path, monkeypatch):
    """A pack that nobody trusts, on a machine where nothing is trusted yet."""
    monkeypatch.delenv("MESHWRIGHT_TRUSTED")
    monkeypatch.setenv("MESHWRIGHT_CONFIG", str(tmp_path / "config"))
    return shutil.copytree(tiny, tmp_path / "stranger")


def replace(folder, name, data):
    """Give a file another content and the right hash."""
    (folder / name).write_bytes(data)
    files = json.loads((folder / "pack.json").read_text())["files"]
    edit(folder, files=files | {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}})


def test_a_pack_from_elsewhere_is_refused_until_it_is_trusted(stranger):
    pack = Pack.open(stranger)
    assert pack.trusted is None
    with pytest.raises(PackUntrusted, match="a model is a program.*meshwright packs trust .*stranger, or trust=True"):
        Pipeline.open(stranger)
    with Pipeline.open(stranger, trust=True, threads=1) as pipe:
        assert len(pipe.generate("a red chair", texture=64, faces=200).mesh.faces) > 100
    assert Pack.open(stranger).trusted is None  # that was for one time
    trust(stranger, pack.hash, EXPORTED)
    Pipeline.open(stranger).close()
    edit(stranger, version="2")
    with pytest.raises(PackUntrusted):
        Pipeline.open(stranger)


def test_the_bundled_pack_is_trusted(stranger):
    assert Pack.open("props", verify=False).trusted == "bundled with meshwright"


@pytest.mark.parametrize("command", [
    ["generate", "a chair", "-o", "x.glb", "--pack"], ["verify"], ["build"], ["generate", "a chair", "-o", "x.glb", "--build", "--pack"]])
def test_no_command_runs_it(main, stranger, command):
    ended = main(*command, stranger)
    assert ended.returncode == 2 and ended.stderr.count("\n") == 1 and "meshwright packs trust" in ended.stderr


def test_trust_on_the_command_line(main, stranger, monkeypatch):
    named = main("packs", "trust", stranger)
    assert named.returncode == 0 and named.stderr == "" and "tiny 1  recipe sharp-it  licence Apache-2.0" in named.stdout
    assert "NOT TRUSTED" not in named.stdout and Pack.open(stranger).trusted == "trusted by this user"
    assert main("verify", stranger).returncode == 0
    gone = main("packs", "distrust", stranger)
    assert gone.returncode == 0 and gone.stdout.endswith("was trusted by name, and is not trusted now\n")
    assert main("packs", "distrust", stranger).stdout.endswith("was not trusted by name, and is not trusted now\n")
    assert main("verify", stranger).returncode == 2
    listed = main("packs")
    assert listed.returncode == 0 and "NOT TRUSTED, and not run: meshwright packs trust" in listed.stdout
    assert [row["trusted"] for row in json.loads(main("packs", "--json").stdout)["packs"]] == [None, "bundled with meshwright"]
    monkeypatch.setattr(trust_file, "config_folder", lambda: None)
    assert "the list of trusted packs cannot be saved" in main("packs", "trust", stranger).stderr


@pytest.mark.parametrize("arguments", [["trust"], ["distrust"], ["trust", "missing"], ["believe", "x"], ["trust", "x", "--json"]])
def test_trust_that_is_asked_for_wrongly(main, stranger, arguments):
    ended = main("packs", *arguments)
    assert ended.returncode == 2 and ended.stdout == "" and ended.stderr.count("\n") == 1


def test_a_pack_that_is_not_whole_is_not_trusted(main, stranger):
    data = (stranger / "tokenizer.json").read_bytes()
    (stranger / "tokenizer.json").write_bytes(data.replace(b"red", b"rod"))
    assert main("packs", "trust", stranger).returncode == 2 and Pack.open(stranger, verify=False).trusted is None


def test_models_are_looked_at_before_they_are_opened(main, stranger):
    model = onnx.load(stranger / "vae_encoder.onnx")
    body = helper.make_graph([], "b", [], [])
    model.graph.node.append(helper.make_node("Loop", ["n", "c"], ["o"], body=body))
    replace(stranger, "vae_encoder.onnx", model.SerializeToString())
    with pytest.raises(PackFormat, match="component vae_encoder of pack .* is refused: .*; received operator Loop"):
        Pack.open(stranger)
    assert "operator Loop" in main("packs", "trust", stranger).stderr


def test_weights_in_files_that_no_hash_is_known_of(stranger):
    model = onnx.load(stranger / "vae_encoder.onnx")
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="hidden.bin")
    model.graph.initializer.append(weight)
    replace(stranger, "vae_encoder.onnx", model.SerializeToString())
    (stranger / "hidden.bin").write_bytes(bytes(4))
    with pytest.raises(PackFormat, match="vae_encoder .*'hidden.bin'; expected 'vae_encoder.onnx.data', listed with its hash"):
        Pack.open(stranger)


def test_a_model_that_passed_is_not_looked_at_again_and_one_that_changed_is(stranger, monkeypatch, tmp_path):
    from meshwright.runtime.pack import pack as module

    monkeypatch.setenv("MESHWRIGHT_CACHE", str(tmp_path / "cache"))
    looked = []
    check = module.check_model
    monkeypatch.setattr(module, "check_model", lambda path, files: looked.append(path.name) or check(path, files))
    Pack.open(stranger)
    count = len(looked)
    Pack.open(stranger)
    assert count == len(Pack.open(stranger).manifest.components) == len(looked)
    Pack.open(stranger, rehash=True)
    assert len(looked) == 2 * count
    model = onnx.load(stranger / "vae_encoder.onnx")
    model.doc_string = "changed"
    replace(stranger, "vae_encoder.onnx", model.SerializeToString())
    Pack.open(stranger)
    assert len(looked) == 3 * count


@pytest.mark.parametrize("where", ["name", "version", "license__id", "exporter"])
def test_codes_for_a_terminal_are_refused(stranger, where):
    edit(stranger, **{where: "a\x1b]0;title\x07b"})
    with pytest.raises(PackFormat, match=r"is not printable text; received a\\x1b\]0;title\\x07b"):
        Pack.open(stranger)


def test_one_bad_pack_ends_no_listing(main, stranger, monkeypatch, tmp_path):
    bad = {"deep": "[" * 900 + "]" * 900, "deeper": '{"a":' * 100_000, "huge": '{"format": 1' + "0" * 5000 + "}", "text": "\x1b[2J",
           "null": "null", "empty": "", "colours": json.dumps({"format": 1, "recipe": "\x1b[31mred"})}
    for name, content in bad.items():
        (tmp_path / "all" / name).mkdir(parents=True)
        (tmp_path / "all" / name / "pack.json").write_text(content)
    for name, make in (("folder", os.mkdir), ("fifo", os.mkfifo)):
        (tmp_path / "all" / name).mkdir()
        make(tmp_path / "all" / name / "pack.json")
    (tmp_path / "all" / "ring").mkdir()
    (tmp_path / "all" / "ring" / "pack.json").symlink_to("pack.json")
    shutil.copytree(stranger, tmp_path / "all" / "cut")
    (tmp_path / "all" / "cut" / "pack.json").write_text((stranger / "pack.json").read_text()[:-2])
    from meshwright.runtime.cli import main as cli

    monkeypatch.setenv("MESHWRIGHT_PACKS", str(tmp_path / "all"))
    ended = main_with(cli, "packs")
    lines = [line for line in ended[1].splitlines() if str(tmp_path) in line]
    assert ended[0] == 0 and len(lines) == len(bad) + 3 and "\x1b" not in ended[1] and "props" in ended[1]


def main_with(cli, *arguments):
    """The exit code, and what was printed."""
    import contextlib
    import io

    out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    with contextlib.redirect_stdout(out):
        code = cli.main(list(arguments))
    return code, out.buffer.getvalue().decode()


@pytest.mark.parametrize("changes", [
    {"prior__steps": 1001}, {"prior__steps": 10**400}, {"prior__guidance": -1}, {"prior__guidance": 1e300},
    {"prior__latent_shape": []}, {"prior__latent_shape": [1.5]}, {"prior__latent_shape": [1 << 12, 1 << 13]},
    {"prior__latent_shape": [-1, 2]}, {"prior__schedule__train_steps": 10**9}, {"prior__schedule__kind": "none"},
    {"prior__schedule__betas": ["cosine"]}, {"prior__schedule": {}}, {"prior__steps": 999, "prior__schedule__train_steps": 500},
    {"coarse__resolution": 100_000}, {"coarse__bound": 0}, {"coarse__bound": -1}, {"coarse__scale": 1e-30},
    {"coarse__rotation": [[0, 0, 0]] * 3}, {"coarse__rotation": [[1, 0, 0], [0, 1, 0], [0, 0, -1]]},
    {"views__size": 10**6}, {"views__rows": 10**9}, {"views__fov": 0}, {"views__fov": 180}, {"views__radius": 0},
    {"views__elevations": [90, 0, 0, 0, 0, 0]}, {"views__background": 2},
    {"grid__resolution": 5000}, {"grid__extent": 0}, {"grid__stride": 1 << 30},
    {"finish": {"faces": 10**9}}, {"finish": {"texture": 1000}}, {"metres_per_unit": 0}, {"text__length": 10**9},
    {"components__vae_encoder__tolerance": -1}, {"components__vae_encoder__outputs": [{"name": "x", "dtype": "text", "shape": []}]},
    {"components__vae_encoder__outputs": [{"name": "x", "dtype": "float32", "shape": [1 << 20, 1 << 20]}]},
    {"components__vae_encoder__outputs": [{"name": "x", "dtype": "float32", "shape": [0]}]},
    {"components__vae_encoder__outputs": [{"name": "x", "dtype": "float32", "shape": [1] * 99}]},
    {"license__notes": ["x"] * 10_000}, {"license__notes": [["x"]]}, {"sources": [{"name": "x" * 10_000}]}, {"name": "  "},
    {"files__golden.npz__bytes": 1e400},
], ids=lambda changes: "-".join(changes))
def test_numbers_that_nothing_can_serve_are_refused(stranger, changes):
    edit(stranger, **changes)
    with pytest.raises(PackFormat, match="pack.json"):
        Pack.open(stranger, verify=False)


def test_a_tokenizer_that_is_wrong_is_named(stranger):
    from meshwright.runtime.text.prompt import load_tokenizer

    good = json.loads((stranger / "tokenizer.json").read_text())
    model = good["model"]
    changed = [model | {"vocab": model["vocab"] | {"[PAD]": 1 << 40}}, model | {"vocab": model["vocab"] | {"red": 1.5}},
               model | {"vocab": []}, model | {"vocab": [[]]}, model | {"max_input_chars_per_word": float("inf")},
               model | {"max_input_chars_per_word": -1}, model | {"unk_token": ["x"]}, model | {"type": []}, model | {"type": {}}]
    contents = [json.dumps(good | {"model": each}) for each in changed]
    for content in [*contents, "[" * 100_000, "{}", "3", '{"model": {"type": "WordPiece", "vocab": {"a": 1%s}}}' % ("0" * 5000), "\xff"]:
        (stranger / "tokenizer.json").write_text(content)
        with pytest.raises(PackFormat, match="tokenizer"):
            load_tokenizer(stranger / "tokenizer.json", 12)
    (stranger / "tokenizer.json").unlink()
    os.mkfifo(stranger / "tokenizer.json")
    with pytest.raises(PackFormat, match="tokenizer.json cannot be read; received a FIFO"):
        load_tokenizer(stranger / "tokenizer.json", 12)


def test_the_names_in_a_notice_cannot_steer_the_terminal():
    """What a run tells comes from files as well."""
    import io

    from meshwright.runtime.cli.progress import Progress
    from meshwright.runtime.events import Notice

    stream = io.StringIO()
    Progress(stream, ("text",))(Notice("a \x1b[2J file\x9b1m"))
    assert stream.getvalue() == "note: a \\x1b[2J file\\x9b1m\n"


def test_the_numbers_of_good_packs_are_in_range():
    assert np.isfinite(Pack.open("props").manifest.grid.extent)
