"""The plugin for Godot against a running server.

Godot 4 has no package here, but for a template of its web builds in a package of npm: in a browser, that runs everything of the plugin but
`plugin.gd`, which needs the editor. Debian's Godot 3 runs `task.gd`, which is written for both.
"""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.runtime.conftest import tiny  # noqa: F401  a fixture
from tests.runtime.server.conftest import server  # noqa: F401  a fixture

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PLUGIN = "addons/meshwright"


@pytest.fixture
def plugin(tmp_path) -> Path:
    """The folder of the plugin in a project, from its zip."""
    subprocess.run([sys.executable, ROOT / "docs/addons/make_godot_addon.py", tmp_path / "addon.zip"], check=True)
    zipfile.ZipFile(tmp_path / "addon.zip").extractall(tmp_path / "project")
    return tmp_path / "project" / PLUGIN


def found_in(said: str) -> dict:
    line = next((line for line in said.splitlines() if line.startswith("FOUND ")), None)
    assert line is not None, said[-3000:]
    return json.loads(line.removeprefix("FOUND "))


def test_the_zip_holds_the_plugin(plugin):
    assert sorted(path.name for path in plugin.iterdir()) == ["client.gd", "dock.gd", "place.gd", "plugin.cfg", "plugin.gd", "task.gd"]
    assert 'script="plugin.gd"' in (plugin / "plugin.cfg").read_text()


def test_every_script_is_one_of_godot_4(plugin):
    """By a parser of its grammar: names and types are not looked up."""
    parser = pytest.importorskip("gdtoolkit.parser", reason="gdtoolkit is not installed").parser
    for path in plugin.glob("*.gd"):
        text = path.read_text("utf-8")
        parser.parse(text)
        assert text.startswith("@tool\n")  # else the editor takes it for empty


@pytest.mark.skipif(shutil.which("godot3-server") is None, reason="godot3-server is not installed")
def test_the_protocol_in_godot_3(plugin, server, tmp_path):  # noqa: F811
    text = (plugin / "task.gd").read_text("utf-8")
    (tmp_path / "task.gd").write_text("tool\n" + text.removeprefix("@tool\n"), "utf-8")
    (tmp_path / "project.godot").write_text('config_version=4\n[application]\nconfig/name="check"\n')
    shutil.copy(HERE / "godot3_session.gd", tmp_path)
    done = subprocess.run(["godot3-server", "--path", tmp_path, "--script", "godot3_session.gd"], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "ADDRESS": server.address, "HOME": str(tmp_path)})
    assert "SCRIPT ERROR" not in done.stderr, done.stderr[-3000:]
    found = found_in(done.stdout)
    assert found["made"] == ["", "a_red_chair_2.glb", 100, True, "glTF"]
    assert {"refined views", "done"} <= set(found["texts"]) or len(found["texts"]) > 2
    assert found["sent twice"] == [True, ""] and found["cancelled"] == [True, "", ""] and found["unsent"] == [True, True]
    assert "the task is wrong" in found["refused"] and "/seed expected 0 to" in found["refused"]
    assert found["busy"] == [[True, False], True, "the queue is full"]
    assert found["alone"] == "no server answers; start it with: meshwright serve"
