"""Bad input: exit code 2, one line that says what is wrong, and no file."""

import json
import os
import resource
import shutil

import pytest

QUICK = ("--texture", "64", "--faces", "500", "--threads", "1")


def refused(ended, message, folder):
    """The process ended with 2 and one line that holds `message`; the folder is empty."""
    assert ended.returncode == 2, (ended.returncode, ended.stderr)
    lines = [line for line in ended.stderr.splitlines() if not line.startswith(("[", "note: "))]
    assert len(lines) == 1 and message in lines[0], ended.stderr
    assert lines[0].startswith("meshwright") and ended.stdout == ""
    assert os.listdir(folder) == []


@pytest.mark.parametrize(("prompt", "message"), [
    ("", "the prompt is empty"),
    ("   ", "the prompt is empty"),
    ("a red\nchair", "control character; received U+000A"),
    ("a red \x1b[31m chair", "control character; received U+001B"),
    ("\U0001f600\U0001f600", "knows none of the words in the prompt"),
    ("x" * 100_000, "knows none of the words in the prompt"),
    (b"a \xff chair", "control character; received U+DCFF"),
], ids=["empty", "spaces", "line-break", "escape", "emoji", "one-long-word", "no-text"])
def test_prompts(main, tmp_path, prompt, message):
    prompt = os.fsdecode(prompt)
    refused(main("generate", prompt, "--pack", "tiny", *QUICK, "-o", tmp_path / "c.glb"), message, tmp_path)


def test_a_prompt_of_100000_characters_is_cut_with_a_note(cli, tmp_path):
    ended = cli("generate", "a red chair " * 8334, "--pack", "tiny", *QUICK, "-o", tmp_path / "c.glb")
    assert ended.returncode == 0 and (tmp_path / "c.glb").exists()
    assert "note: the prompt has 25002 tokens; the text encoder reads the first 10" in ended.stderr


@pytest.mark.parametrize("arguments", [("generate", "", "--pack", "tiny", "-o", "c.glb"), ("paint",)], ids=["prompt", "command"])
def test_the_process_ends_with_two(cli, tmp_path, arguments):
    refused(cli(*arguments, cwd=tmp_path), "", tmp_path)


@pytest.mark.parametrize(("options", "message"), [
    (("--steps", "0"), "steps is out of range; received 0"),
    (("--steps", "-4"), "steps is out of range; received -4"),
    (("--steps", "1000000"), "steps is out of range; received 1000000"),
    (("--steps", "many"), "invalid int value"),
    (("--prior-steps", "0"), "prior_steps is out of range"),
    (("--faces", "3"), "faces is out of range; received 3"),
    (("--faces", "-1"), "faces is out of range"),
    (("--guidance", "nan"), "guidance is out of range; received nan"),
    (("--guidance", "inf"), "guidance is out of range"),
    (("--guidance", "-1"), "guidance is out of range"),
    (("--prior-guidance", "nan"), "prior_guidance is out of range"),
    (("--seed", "-1"), "seed is out of range"),
    (("--texture", "1000"), "texture is out of range"),
    (("--texture-from", "air"), "texture_from is unknown"),
    (("--threads", "0"), "threads is out of range"),
    (("--backend", "abacus"), "unknown backend"),
    (("--providers", "NoSuchProvider"), "NoSuchProvider"),
    (("--providers", ""), "provider"),
    (("--pack", "nothing-of-that-name"), "no such pack"),
    (("--preview", "c.jpg"), "a name that ends in .png"),
    (("--preview", "nowhere/c.png"), "cannot be written"),
    (("--keep-stages", "/dev/null"), "cannot be written"),
    (("--keep-stages", "nowhere/stages"), "cannot be written"),
    (("--unheard-of",), "unrecognized arguments"),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else None)
def test_options(main, tmp_path, options, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = main("generate", "a red chair", "--pack", "tiny", *QUICK, "-o", tmp_path / "c.glb", *options)
    refused(ended, message, tmp_path)


@pytest.mark.parametrize(("output", "message"), [
    ("chair.fbx", ".fbx"), ("chair", "extension"), ("nowhere/chair.glb", "nowhere"), (".", "extension"),
    ("/proc/chair.glb", "chair.glb"), ("", "extension"),
])
def test_outputs(main, tmp_path, output, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(main("generate", "a red chair", "--pack", "tiny", *QUICK, "-o", output), message, tmp_path)


def test_an_output_that_is_a_folder(main, tmp_path):
    folder = tmp_path / "chair.glb"
    folder.mkdir()
    ended = main("generate", "a red chair", "--pack", "tiny", *QUICK, "-o", folder)
    refused(ended, "a folder", folder)


@pytest.mark.parametrize("arguments", [
    (), ("paint",), ("generate",), ("generate", "a red chair"), ("verify",),
], ids=str)
def test_commands(main, tmp_path, arguments, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(main(*arguments), "see meshwright", tmp_path)


@pytest.mark.parametrize("spoil", ["missing", "truncated", "altered", "newer", "outside", "absolute"])
def test_broken_packs(main, tiny, tmp_path_factory, tmp_path, spoil):
    folder = shutil.copytree(tiny, tmp_path_factory.mktemp("broken") / "tiny")
    path, manifest = folder / "refiner_step.onnx", folder / "pack.json"
    document, data = json.loads(manifest.read_text()), path.read_bytes()
    digest = document["files"][path.name]["sha256"]
    entry = {"sha256": digest, "bytes": len(data)}
    if spoil == "missing":
        path.unlink()
    elif spoil in ("truncated", "altered"):
        path.write_bytes(data[:-7] if spoil == "truncated" else data[:-1] + bytes([data[-1] ^ 1]))
    elif spoil == "newer":
        manifest.write_text(json.dumps(document | {"format": 2}))
    else:
        name = "../refiner_step.onnx" if spoil == "outside" else "/refiner_step.onnx"
        manifest.write_text(json.dumps(document | {"files": document["files"] | {name: entry}}))
    message = {"newer": "format version", "outside": "'../refiner_step.onnx'", "absolute": "'/refiner_step.onnx'"}
    for command in (("generate", "a red chair", "-o", tmp_path / "c.glb", "--pack", folder), ("verify", folder)):
        refused(main(*command), message.get(spoil, digest), tmp_path)


@pytest.mark.parametrize(("ending", "extra"), [("glb", ()), ("obj", ("--preview", "c.png", "--keep-stages", "kept"))], ids=["glb", "obj"])
def test_a_disk_that_is_full(cli, tmp_path, ending, extra):
    """A limit on the size of files stands for the disk: writing past it fails as on a full one."""
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))

    ended = cli("generate", "a red chair", "--pack", "tiny", *QUICK, "-o", f"chair.{ending}", *extra, cwd=tmp_path,
                preexec_fn=limit)
    refused(ended, f"chair.{ending}", tmp_path)


def test_a_failed_write_leaves_the_old_file_alone(cli, tmp_path):
    path = tmp_path / "chair.glb"
    path.write_bytes(b"the old one")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))

    ended = cli("generate", "a red chair", "--pack", "tiny", *QUICK, "-o", path, preexec_fn=limit)
    assert ended.returncode == 2 and path.read_bytes() == b"the old one" and os.listdir(tmp_path) == ["chair.glb"]
