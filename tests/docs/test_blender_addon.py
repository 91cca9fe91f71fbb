"""The add-on for Blender, in Blender as a module (an environment of its own: it wants an older numpy), against a running server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.importers import BLENDER, needs_blender
from tests.runtime.conftest import tiny  # noqa: F401  a fixture
from tests.runtime.server.conftest import server  # noqa: F401  a fixture

ROOT = Path(__file__).parents[2]


@needs_blender
@pytest.mark.slow
def test_objects_are_made_at_the_cursor_textured_and_cancelled(server, tmp_path):  # noqa: F811
    subprocess.run([sys.executable, ROOT / "docs/addons/make_blender_addon.py", tmp_path / "addon.zip"], check=True)
    done = subprocess.run([BLENDER, Path(__file__).with_name("blender_session.py"), tmp_path, server.address],
                          capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("FOUND ")).removeprefix("FOUND "))
    assert found["operators"] == [True, True] and found["panel"] == "Meshwright" and found["error"] == ""
    assert found["names"] == ["a_red_chair"]
    (left, right), (front, back), (bottom, top) = found["made"]
    # It stands on the cursor at (1, 2, 3): glTF's up is Blender's z.
    assert abs(bottom - 3) < 1e-3 and abs((left + right) / 2 - 1) < 1e-3 and abs((front + back) / 2 - 2) < 1e-3 and top - bottom > 0.1
    # What got a new texture has the shape and the place of the selected object.
    for ends, old_ends in zip(found["textured"], found["made"], strict=True):
        assert all(abs(end - old) < 1e-4 for end, old in zip(ends, old_ends, strict=True))
    assert found["cancelled"] == ["", None]
    assert "not a readable image" in found["refused"] and found["left"] is False
