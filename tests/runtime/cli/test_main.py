"""The real command line, in a process of its own, on the tiny pack."""

import hashlib
import json
import os
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest
from PIL import Image

QUICK = ("--pack", "tiny", "--texture", "64", "--faces", "500", "--threads", "1")


def test_generate_writes_a_mesh(cli, tmp_path):
    path = tmp_path / "chair.glb"
    ended = cli("generate", "a red chair", *QUICK, "-o", path)
    assert ended.returncode == 0, ended.stderr
    assert path.read_bytes()[:4] == b"glTF" and os.listdir(tmp_path) == ["chair.glb"]
    assert ended.stdout.startswith(f"{path}: ") and "triangles in" in ended.stdout
    lines = ended.stderr.splitlines()
    assert len(lines) == 8 and lines[0].startswith("[1/8] text") and "\x1b" not in ended.stderr


@pytest.mark.parametrize("ending", ["glb", "obj", "ply", "stl", "GLB"])
def test_formats_by_ending(cli, tmp_path, ending):
    path = tmp_path / f"chair.{ending}"
    ended = cli("generate", "a red chair", *QUICK, "-o", path, "--quiet")
    assert ended.returncode == 0 and ended.stdout == ended.stderr == ""
    assert path.stat().st_size > 1000
    assert sorted(os.listdir(tmp_path)) == sorted(
        ["chair.obj", "chair.mtl", "chair_color.png"] if ending == "obj" else [path.name])


def test_json_is_one_object(cli, tmp_path):
    ended = cli("generate", "a red zebra", *QUICK, "-o", tmp_path / "z.glb", "--json", "--seed", 7, "--steps", 2,
                "--guidance", 1.5, "--texture-from", "blend")
    report = json.loads(ended.stdout)
    assert report["seed"] == 7 and report["options"]["steps"] == 2 and report["options"]["guidance"] == 1.5
    assert report["files"] == [str(tmp_path / "z.glb")]
    assert report["mesh"]["watertight"] is True and 4 <= report["mesh"]["faces"] <= 500
    assert report["notices"] == ["words unknown to the text encoder: 'zebra'"]
    assert "note: words unknown to the text encoder" in ended.stderr
    timings = report["timings"]
    assert all(seconds >= 0 for seconds in timings.values()) and len(timings) == 10


def test_preview_and_stages(cli, tmp_path):
    kept = tmp_path / "kept"
    ended = cli("generate", "a red chair", *QUICK, "-o", tmp_path / "c.glb", "--preview", tmp_path / "c.png",
                "--keep-stages", kept, "--json")
    assert ended.returncode == 0, ended.stderr
    expected = {"coarse.glb", "surface.ply"} | {f"{name}_{i}.png" for name in ("view", "coarse_view") for i in range(6)}
    assert set(os.listdir(kept)) == expected
    assert set(os.listdir(tmp_path)) == {"c.glb", "c.png", "kept"}
    assert len(json.loads(ended.stdout)["files"]) == 16
    with Image.open(tmp_path / "c.png") as preview, Image.open(kept / "view_5.png") as view:
        assert preview.size == (1024, 512) and view.size == (32, 32)
        assert preview.convert("L").getextrema()[0] < 200


def test_a_terminal_gets_one_changing_line(tiny, tmp_path):
    import pty

    main, side = pty.openpty()
    command = [sys.executable, "-m", "meshwright.runtime.cli.main", "generate", "a red chair", *QUICK[:1], str(tiny),
               *QUICK[2:], "-o", str(tmp_path / "c.glb")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=side) as process:
        os.close(side)
        seen = b""
        while chunk := _read(main):
            seen += chunk
        os.close(main)
        assert process.wait(60) == 0
    assert b"\r\x1b[K[5/8] refined views   step 3 of 3" in seen
    assert seen.count(b"\r\n") == 8


def _read(descriptor):
    try:
        return os.read(descriptor, 4096)
    except OSError:  # how Linux says that the other side has closed
        return b""


def test_verify(cli):
    ended = cli("verify", "tiny")
    assert ended.returncode == 0
    lines = ended.stdout.splitlines()
    assert len(lines) == 12 and all(line.endswith("  ok") for line in lines[1:])
    assert "relative error" in lines[1] and "tolerance 1.0e-04" in lines[1]


def test_verify_fails_when_out_of_tolerance(cli, tiny, tmp_path):
    folder = tmp_path / "strict"
    folder.mkdir()
    for path in tiny.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    golden = dict(np.load(tiny / "golden.npz"))
    golden["vae_encoder/out/latent"] *= 1.01
    np.savez(folder / "golden.npz", **golden)
    data = (folder / "golden.npz").read_bytes()
    document = json.loads((folder / "pack.json").read_text())
    document["files"]["golden.npz"] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (folder / "pack.json").write_text(json.dumps(document))
    ended = cli("verify", folder)
    assert ended.returncode == 1 and ended.stdout.count("OUT OF TOLERANCE") == 1


def test_packs(cli):
    ended = cli("packs")
    assert ended.returncode == 0
    line = next(line for line in ended.stdout.splitlines() if line.startswith("tiny 1 "))
    assert "licence Apache-2.0 (commercial use: yes)" in line and " MB " in line
    described = json.loads(cli("packs", "--json").stdout)["packs"]
    assert next(pack for pack in described if pack["name"] == "tiny")["commercial_use"] == "yes"


def test_version_and_help(cli):
    assert cli("--version").stdout == f"meshwright {version('meshwright')}\n"
    assert "--texture-from" in cli("generate", "--help").stdout
    module = subprocess.run([sys.executable, "-m", "meshwright.runtime.cli", "--version"], capture_output=True, text=True)
    assert module.stdout == f"meshwright {version('meshwright')}\n"
