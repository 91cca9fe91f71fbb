"""The three programs of docs/examples, run as a user runs them, on a tiny pack."""

import os
import re
import subprocess
import sys
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from tests.docs.pages import ROOT

EXAMPLES = ROOT / "docs/examples"


def run(name, *arguments):
    return subprocess.run([sys.executable, EXAMPLES / name, *arguments], capture_output=True, text=True, timeout=120)


def test_there_are_three():
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"progress.py", "batch.py", "web_view.py"}


def test_progress(place):
    ended = run("progress.py", "a red chair", "chair.glb")
    assert ended.returncode == 0, ended.stderr
    assert "refined views: step 3 of 3\n" in ended.stdout and re.search(r"^texture: \d+\.\d\d s$", ended.stdout, re.MULTILINE)
    assert (place / "chair.glb").read_bytes()[:4] == b"glTF"


def test_progress_that_takes_too_long(place):
    ended = run("progress.py", "a red chair", "chair.glb", "--seconds", "0")
    assert (ended.returncode, ended.stderr) == (1, "the run took too long\n") and not (place / "chair.glb").exists()


def test_batch(place):
    (place / "prompts.txt").write_text("a red chair\n\n???\na blue table\n")
    ended = run("batch.py", "prompts.txt", "meshes")
    assert ended.returncode == 1 and ended.stderr.startswith("???: ")
    assert sorted(path.name for path in (place / "meshes").iterdir()) == ["0000.glb", "0002.glb"]
    before = (place / "meshes/0000.glb").stat().st_mtime_ns
    (place / "prompts.txt").write_text("a red chair\n")
    assert run("batch.py", "prompts.txt", "meshes").returncode == 0
    assert (place / "meshes/0000.glb").stat().st_mtime_ns == before


@pytest.fixture
def address(place):
    """Of the web view, as it says it."""
    with subprocess.Popen([sys.executable, EXAMPLES / "web_view.py", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, env=os.environ) as server:
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def test_web_view(address):
    def get(path):
        with urlopen(address + path, timeout=60) as answer:
            return answer.headers["Content-Type"], answer.read()

    kind, page = get("")
    assert kind == "text/html; charset=utf-8" and b'name="prompt"' in page and b"<img" not in page
    _, page = get(f"?prompt={quote('a red chair <b>')}")
    assert page.count(b"data:image/png;base64,") == 7 and b"a red chair &lt;b&gt;" in page and b"<b>" not in page
    kind, glb = get("mesh.glb")
    assert (kind, glb[:4]) == ("model/gltf-binary", b"glTF")
    assert b"prompt" in get(f"?prompt={quote('???')}")[1]
