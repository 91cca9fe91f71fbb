"""Children that end with their parents, however those end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from meshwright.engines.machine.packages import PACKAGES
from tests.processes import A_MOMENT, children_of, is_alive, wait_for

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no signal for a parent's end")
CHILD = """
import time
from meshwright.engines.machine.parent import end_with_parent
end_with_parent(PARENT)
print("ready", flush=True)
time.sleep(60)
"""
PARENT = f"""
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {CHILD!r}.replace("PARENT", str(os.getpid()))])
time.sleep(60)
"""
LISTENER = """
from meshwright.engines.machine.parent import end_with_input
end_with_input()
print("ready", flush=True)
while True:
    pass
"""


@LINUX
def test_a_child_ends_with_a_parent_that_is_killed():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "ready\n"
        (child,) = children_of(parent.pid)
        assert is_alive(child)
        parent.kill()
        assert wait_for(lambda: not is_alive(child), A_MOMENT)


@LINUX
def test_a_child_of_a_parent_that_has_ended_does_not_start():
    code = CHILD.replace("PARENT", str(os.getpid() + 1))
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stdout) == (1, "")


def test_a_child_ends_with_its_input_whatever_it_does():
    with subprocess.Popen([sys.executable, "-c", LISTENER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        child.stdin.close()
        assert child.wait(30) == 1


@LINUX
def test_a_trial_of_a_package_ends_with_its_parent():
    """The probe, stopped so that it can't end by itself."""
    assert PACKAGES[0].name == "onnxruntime"
    code = ("import time; from meshwright.engines.machine.packages import PACKAGES, PackageProbe\n"
            "probe = PackageProbe(PACKAGES[0]); print(probe._process.pid, flush=True); time.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        probe = int(parent.stdout.readline())
        assert wait_for(lambda: "onnxruntime" in Path(f"/proc/{probe}/maps").read_text())
        os.kill(probe, signal.SIGSTOP)
        parent.kill()
        assert wait_for(lambda: not is_alive(probe), A_MOMENT)
