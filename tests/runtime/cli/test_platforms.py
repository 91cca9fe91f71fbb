"""The command line on Windows and macOS, as far as Linux can stand for them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from meshwright.runtime import read_mesh
from tests.simulated_system import FREE, MEMORY

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux stands for the others here")
SYSTEMS = pytest.mark.parametrize("system", ["win32", "darwin"])
COMMAND = """
import sys
from tests.simulated_system import become
become(sys.argv.pop(1))
from meshwright.runtime.cli.main import main
sys.exit(main())
"""


@pytest.fixture
def command(tiny, tmp_path, monkeypatch):
    """The command line on such a system; the tiny pack is known by name."""
    monkeypatch.setenv("MESHWRIGHT_PACKS", str(tiny))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(system, *arguments):
        command = [sys.executable, "-c", COMMAND, system, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    return run


@SYSTEMS
def test_a_prompt_becomes_a_mesh(command, system, tmp_path):
    """Locks, renames, child processes, signals and folders are all used on the way."""
    ended = command(system, "generate", "a red chair", "--pack", "tiny", "--texture", "64", "--faces", "300", "--threads", "1",
                    "-o", "chair.obj", "--keep-stages", "stages")
    assert ended.returncode == 0, ended.stderr
    assert "internal error" not in ended.stderr and len(read_mesh(tmp_path / "chair.obj").mesh.faces) > 100
    assert not [path for path in tmp_path.rglob(".*")], "staging folders are left"


@SYSTEMS
def test_the_null_backend(command, system):
    """Every component runs, and what they draw has no surface."""
    ended = command(system, "generate", "a red chair", "--pack", "tiny", "--backend", "null", "-o", "chair.glb")
    assert ended.returncode == 1 and "no surface" in ended.stderr, ended.stderr


@SYSTEMS
def test_the_doctor_says_what_it_can(command, system):
    ended = command(system, "doctor", "--pack", "tiny", "--json")
    host = json.loads(ended.stdout)["host"]
    assert (host["system"].split()[0], host["cores"] > 0) == ({"win32": "Windows", "darwin": "Darwin"}[system], True)
    if system == "win32":
        assert (host["total_bytes"], host["available_bytes"]) == (MEMORY, FREE)
    else:
        assert host["total_bytes"] > 1 << 28 and host["why_not"]["available_bytes"] == "this system does not say"


BREAK = """
import os, signal, sys, time
from tests.simulated_system import become
become("win32")
from meshwright.runtime.cli import main as cli

def work():
    os.kill(os.getpid(), signal.SIGBREAK)
    time.sleep(60)

cli._command = lambda arguments: work
sys.exit(cli.main([]))
"""


def test_closing_the_console_of_windows_stops_the_work():
    """Without SIGHUP and timers, which it lacks. SIGBREAK is 21 there and here."""
    ended = subprocess.run([sys.executable, "-c", BREAK], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (128 + 21, "meshwright: stopped\n")
