"""ONNX Runtime is imported in one place, which keeps it silent; `tests/test_privacy.py` listens to whole programs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from meshwright.engines.onnxruntime import package as onnxruntime_import

ROOT = Path(__file__).parents[3]
IMPORTS = re.compile(r"\b(?:import|from)\s+onnxruntime\b|(?:import_module|__import__|importorskip)\(\s*[\"']onnxruntime\b")
SAYS = ("import os; from meshwright.engines.onnxruntime.package import import_onnxruntime; "
        "before = os.environ.get('ORT_DISABLE_TELEMETRY'); import_onnxruntime(); print(before, os.environ['ORT_DISABLE_TELEMETRY'])")


def test_one_file_imports_it():
    files = [path for folder in ("engines", "runtime", "export", "benchmarks", "tests") for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 300
    found = {path.relative_to(ROOT).as_posix() for path in files if IMPORTS.search(path.read_text("utf-8"))}
    # The peer is run as its users run it, in an environment of its own.
    elsewhere = {"tests/engines/onnxruntime/test_package.py", "benchmarks/full_size/optimum_peer/side.py"}
    assert found - elsewhere == {"engines/onnxruntime/package.py"}


@pytest.mark.parametrize("line", ["import onnxruntime", "    import onnxruntime as ort", "from onnxruntime import InferenceSession",
                                  "from onnxruntime.capi import x", "import_module('onnxruntime')", '__import__("onnxruntime")'])
def test_what_counts_as_an_import(line):
    assert IMPORTS.search(line)


@pytest.mark.parametrize("line", ["from .onnxruntime import read_spec", "from meshwright.engines.onnxruntime.engine import x",
                                  "from .onnxruntime_import import import_onnxruntime"])
def test_what_does_not(line):
    assert not IMPORTS.search(line)


@pytest.mark.parametrize(("given", "said"), [(None, "None 1\n"), ("0", "0 0\n")])
def test_the_variable_is_set_unless_the_user_did(given, said):
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {} if given is None else {"ORT_DISABLE_TELEMETRY": given, "XDG_CACHE_HOME": os.devnull}
    ended = subprocess.run([sys.executable, "-c", SAYS], env=environment, capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.returncode) == (said, 0), ended.stderr


@pytest.mark.parametrize(("given", "calls"), [("1", 1), ("0", 0)])
def test_on_windows_its_events_are_turned_off_as_well(monkeypatch, given, calls):
    """There the variable is not looked at."""
    onnxruntime, off = onnxruntime_import.import_onnxruntime(), []
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", given)
    monkeypatch.setattr(onnxruntime, "disable_telemetry_events", lambda: off.append(True))
    monkeypatch.setattr(onnxruntime_import.sys, "platform", "win32")
    assert onnxruntime_import.import_onnxruntime() is onnxruntime and len(off) == calls
