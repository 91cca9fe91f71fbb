"""What importing costs and pulls in, and which names are public."""

import subprocess
import sys
import time

import pytest

import meshwright.runtime

PUBLIC = {
    "Asset", "AssetOptions", "Verdict", "finish", "lint",
    "Cancelled", "Check", "CoarseMesh", "CoarseViews", "Cutout", "EmptyShape", "EngineBuild", "Event", "Generation", "InputError",
    "Mesh", "MeshFile", "MeshwrightError", "Notice", "OutputError", "Pack", "PackCorrupt", "PackError", "PackFormat", "PackNotFound",
    "PackUntrusted", "Picture", "Pipeline", "Request", "Result", "SavedRun", "StageDone", "StageStarted", "Stages", "Step", "Surface",
    "Views",
    "read_mesh", "read_picture", "read_run", "verify_pack",
}
# Forbids the training stack, then runs a whole prompt.
WITHOUT_TORCH = """
import sys

class Forbid:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "diffusers", "transformers", "tokenizers", "onnx", "numba", "scipy"):
            raise ImportError(f"{name} must not be imported at run time")

sys.meta_path.insert(0, Forbid())
from meshwright.runtime import Pipeline
Pipeline.open(sys.argv[1]).generate("a red chair", texture=64, faces=500).save(sys.argv[2])
print(len(sys.modules))
"""


def python(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_public_names():
    assert set(meshwright.runtime.__all__) == PUBLIC == set(dir(meshwright.runtime))
    for name in PUBLIC:
        assert getattr(meshwright.runtime, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'pipelin'"):
        meshwright.runtime.pipelin  # noqa: B018


def test_import_time():
    """The best of three, because other processes share the machine."""
    code = "import time; t = time.perf_counter(); import meshwright.runtime; print(time.perf_counter() - t)"
    assert min(float(python(code).stdout) for _ in range(3)) < 0.3


def test_importing_loads_nothing_heavy():
    code = "import sys, meshwright.runtime; print('numpy' in sys.modules)"
    assert python(code).stdout == "False\n"
    code = "import sys; from meshwright.runtime import Pipeline; print(sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = python(code).stdout
    for package in ("onnxruntime", "embreex", "PIL", "fast_simplification", "tokenizers", "torch"):
        assert f"'{package}'" not in loaded


def test_a_prompt_runs_without_the_training_stack(tiny, tmp_path):
    ended = python(WITHOUT_TORCH, tiny, tmp_path / "chair.glb")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "chair.glb").read_bytes()[:4] == b"glTF"


def test_the_library_prints_nothing(tiny, tmp_path):
    code = ("import sys; from meshwright.runtime import Pipeline;"
            "Pipeline.open(sys.argv[1]).generate('a red chair', texture=64, faces=500).save(sys.argv[2])")
    started = time.perf_counter()
    ended = python(code, tiny, tmp_path / "chair.glb")
    assert (ended.stdout, ended.stderr) == ("", "")
    assert time.perf_counter() - started < 60
