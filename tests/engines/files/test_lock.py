"""A lock between two processes, on this system and on a simulated Windows, where it lies on a byte and not on the file."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from meshwright.engines.files.lock import locked

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux stands for the others here")
HOLD = """
import sys
from pathlib import Path
from tests.simulated_system import become
system, path = sys.argv[1:]
if system != "linux":
    become(system)
from meshwright.engines.files.lock import alone_in, locked
with alone_in([Path(path).parent]), locked(Path(path), lambda holder: None):
    print("held", flush=True)
    sys.stdin.read()
"""
WAIT = """
import sys, time
from pathlib import Path
from tests.simulated_system import become
system, path = sys.argv[1:]
if system != "linux":
    become(system)
from meshwright.engines.files.lock import locked
def say(word):
    print(word, flush=True)
with locked(Path(path), say):
    print("mine")
"""


@pytest.mark.parametrize("system", ["linux", "win32"])
def test_the_second_process_waits_and_is_told_for_whom(system, tmp_path):
    command = [sys.executable, "-c", HOLD, system, str(tmp_path / "lock")]
    waiting = [sys.executable, "-c", WAIT, system, str(tmp_path / "lock")]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    with subprocess.Popen(command, **streams) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            with subprocess.Popen(waiting, **streams) as second:
                assert second.stdout.readline() == f"process {holder.pid}\n"
                holder.kill()  # however it ends, the lock is free
                assert second.communicate(timeout=30)[0] == "mine\n"
        finally:
            holder.kill()


def test_what_the_callers_functions_raise_is_theirs(tmp_path):
    """An OSError of the lock is translated; one of the function that is told of the waiting is passed on."""
    @contextmanager
    def translated():
        try:
            yield
        except OSError as error:
            raise ValueError("the lock") from error

    def unheard(holder):
        raise BrokenPipeError(holder)

    with pytest.raises(ValueError, match="the lock"), locked(tmp_path / "no" / "lock", unheard, translated=translated):
        pass
    with locked(tmp_path / "lock", unheard, translated=translated), pytest.raises(BrokenPipeError, match="process"), \
            locked(tmp_path / "lock", unheard, translated=translated):
        pass
