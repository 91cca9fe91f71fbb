"""Whole programs, listened to: nothing is looked up or sent, and no file is written but those that `docs/command_line.md` names.

Each runs in a network namespace of its own, without any route out: whatever wants to send is counted there by the kernel.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
from PIL import Image

from tests.engines.platforms import TENSORRT_RTX
from tests.runtime.tiny_pictures import build_both

# ONNX Runtime's first look-up comes nine to ten seconds after its import.
SECONDS = 14
QUICK = ("--texture", "64", "--faces", "500", "--threads", "1")
COMMANDS = {
    "prompt": ("generate", "a red chair", "--pack", "{pack}", "-o", "chair.glb", *QUICK),
    "picture": ("generate", "--image", "{picture}", "--pack", "{pack}", "-o", "chair.obj", *QUICK),
    "doctor": ("doctor", "--pack", "{pack}"),
    "verify": ("verify", "{pack}", "--threads", "1"),
    **({} if TENSORRT_RTX.args[0] else {"build": ("build", "{pack}", "--backend", "tensorrt-rtx", "--component", "field_color")}),
}
HASHES = "cache/meshwright/file_hashes.json"
# What each leaves: results in the working folder, hashes of the pack's files, and the engine cache.
LEAVES = {"prompt": [HASHES, "work/chair.glb"], "picture": [HASHES, "work/chair.mtl", "work/chair.obj", "work/chair_color.png"],
          "doctor": [HASHES], "verify": [HASHES], "build": ["cache/meshwright/engines/ENGINE", "cache/meshwright/engines/lock", HASHES]}
RUN = f"""
import sys, time
from meshwright.runtime.cli.main import main

class Imports:
    began = time.monotonic()

    def find_spec(self, name, *details):
        if name == "onnxruntime":
            Imports.began = time.monotonic()

sys.meta_path.insert(0, Imports())
code = main(sys.argv[1:])
time.sleep(max(0.0, {SECONDS} - (time.monotonic() - Imports.began)))
"""
# Runs a program, then says what the kernel has counted in this namespace.
COUNT = """
import json, subprocess, sys
ended = subprocess.run([sys.executable, "-c", *sys.argv[1:]], stdout=subprocess.DEVNULL)
lines = [line.split() for line in open("/proc/self/net/snmp")]
counts = {name[:-1] + key: int(value) for (name, *keys), (_, *values) in zip(lines[::2], lines[1::2]) for key, value in zip(keys, values)}
counts |= {line.split()[0]: int(line.split()[1]) for line in open("/proc/self/net/snmp6")}
names = ("OutNoRoutes", "OutRequests", "OutDatagrams", "ActiveOpens")
print(json.dumps({"code": ended.returncode, "sent": {key: counts[key] for key in counts if key.endswith(names) and counts[key]}}))
"""
TALKS = """
import os, socket, tempfile
open(tempfile.mkstemp(suffix=".db")[1], "w").close()
for attempt in (lambda: socket.getaddrinfo("telemetry.example", 443), lambda: socket.create_connection(("192.0.2.1", 443), 1)):
    try:
        attempt()
    except OSError:
        pass
"""


@cache
def unshare():
    """The command that makes a network namespace here; the test is left out where none may be made."""
    for command in (["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"]):
        try:
            if subprocess.run([*command, "true"], capture_output=True).returncode == 0:
                return command
        except FileNotFoundError:
            break
    pytest.skip("no network namespace can be made here")


def listen(folder, code, *arguments):
    """Exit status and what was sent of a program in a namespace of its own, and the files that it left in its empty home,
    cache, temporary and working folders."""
    for name in ("home", "cache", "temporary", "work"):
        (folder / name).mkdir(parents=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "cache"),
                   "TMPDIR": str(folder / "temporary"), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1",
                   "MESHWRIGHT_TRUSTED": os.environ["MESHWRIGHT_TRUSTED"]}
    ended = subprocess.run([*unshare(), sys.executable, "-c", COUNT, code, *map(str, arguments)], cwd=folder / "work", env=environment,
                           capture_output=True, text=True, timeout=240)
    assert ended.stdout, ended.stderr
    files = [path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir()]
    names = sorted(str(path.with_name("ENGINE") if path.suffix == ".engine" else path) for path in files)
    return json.loads(ended.stdout), names, ended.stderr


def picture_of_a_ball(path):
    """In front of a background, so that the network for mattes is needed."""
    height, width = np.mgrid[-1:1:160j, -1:1:160j]
    radius = np.hypot(height, width)
    shade = np.clip(1.2 - radius - 0.4 * height, 0, 1)[..., None] * (220, 40, 30)
    Image.fromarray(np.where((radius < 0.6)[..., None], shade, 235).astype(np.uint8)).save(path)


def test_what_is_sent_and_written_is_seen(tmp_path):
    """The test below can fail: a look-up and a connection are counted, and a file is found."""
    found, files, _ = listen(tmp_path / "talks", TALKS)
    assert found["sent"].get("IpOutNoRoutes", 0) + found["sent"].get("UdpOutDatagrams", 0) >= 2
    assert [name.split("/")[0] for name in files] == ["temporary"]


@pytest.mark.slow
def test_nothing_is_sent_and_no_other_file_is_written(tmp_path):
    """All at once, because each waits most of the time."""
    pack = build_both(tmp_path / "pack")
    picture_of_a_ball(tmp_path / "ball.png")
    commands = {name: [part.format(pack=pack, picture=tmp_path / "ball.png") for part in command] for name, command in COMMANDS.items()}
    with ThreadPoolExecutor(len(commands)) as pool:
        runs = {name: pool.submit(listen, tmp_path / name, f"{RUN}\nsys.exit(code)", *command) for name, command in commands.items()}
        found = {name: run.result() for name, run in runs.items()}
    assert {name: (seen["code"], seen["sent"], files) for name, (seen, files, _) in found.items()} == {
        name: (0, {}, LEAVES[name]) for name in commands}, {name: said for name, (*_, said) in found.items()}
