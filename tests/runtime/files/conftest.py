import json
import os
import subprocess
from pathlib import Path

import pytest

VALIDATOR = "gltf-validator@2.0.0-dev.3.10"


@pytest.fixture(scope="session")
def khronos_validator():
    """The folder of Khronos' glTF validator, installed with npm into a cache outside the repository."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "meshwright-tests"
    package = cache / "node_modules" / "gltf-validator"
    if not (package / "index.js").exists():
        cache.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(cache), VALIDATOR]
        subprocess.run(command, check=True, capture_output=True, timeout=600)
    return package


@pytest.fixture
def validate(khronos_validator, tmp_path):
    """validate(glb bytes) -> the validator's report, after it was found to hold no error and no warning."""
    def run(data):
        path = tmp_path / "validated.glb"
        path.write_bytes(data)
        script = Path(__file__).with_name("validate_glb.cjs")
        done = subprocess.run(["node", str(script), str(khronos_validator), str(path)],
                              capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        issues = report["issues"]
        assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
        return report
    return run
