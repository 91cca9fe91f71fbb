"""Programs that import our files, where they are installed: `.ci/importers` installs them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from meshwright.engines.files.lock import locked

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "meshwright-tests"
# A Python with bpy. It is another one than that of the tests: Blender wants an older numpy.
BLENDER = Path(os.environ.get("MESHWRIGHT_BPY") or CACHE / "blender" / "bin" / "python")
CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)

needs_blender = pytest.mark.skipif(not BLENDER.is_file(), reason="no Blender: MESHWRIGHT_BPY names no Python with bpy 4.5")
needs_godot = pytest.mark.skipif(shutil.which("godot3-server") is None, reason="godot3-server is not installed")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")


def node_package(*packages: str) -> Path:
    """The node_modules folder with these packages, "name@version", which are installed with npm once. Skips without npm."""
    folder = CACHE / "node_modules"
    CACHE.mkdir(parents=True, exist_ok=True)
    with locked(CACHE / "npm.lock", on_wait=lambda holder: None):
        if all((folder / package.rpartition("@")[0] / "package.json").exists() for package in packages):
            return folder
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed")
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(CACHE), *packages], check=True, capture_output=True,
                       timeout=600)
    return folder
