"""Commands in fresh processes: how long they take, and the memory that they take at most."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLI = (sys.executable, "-m", "meshwright.runtime.cli.main")
# Linux counts resident memory in kilobytes, macOS in bytes.
UNIT = 1 if sys.platform == "darwin" else 1024
SHOWN = 400


@dataclass(frozen=True)
class Ended:
    """What a command did.

    seconds : of the clock; processor_seconds : of all cores
    peak_bytes : largest resident memory of the process or of a child that it waited for, pages of mapped files included. On Linux it
        is not below what the measuring process itself held at the start.
    code : exit code, negative for a signal
    """

    seconds: float
    processor_seconds: float
    peak_bytes: int
    code: int
    output: str
    errors: str

    @property
    def failure_message(self) -> str | None:
        """The end of what a failed command said, in one line and without folders; None where it did not fail."""
        if self.code == 0:
            return None
        said = " ".join((self.errors or self.output).split())
        return re.sub(r"/[^ ;,]*/", "", said)[-SHOWN:] or f"the process ended with code {self.code}"


def run_command(command: Sequence[str | Path], *, limit: float = float("inf"), environment: Mapping[str, str] | None = None) -> Ended:
    """Run a command in the root of the project.

    limit : seconds after which it is killed, with what it started; environment : variables on top of this process' own
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        child = subprocess.Popen([str(word) for word in command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
                                 start_new_session=True, env={**os.environ, **(environment or {})})
        status, used = _wait(child.pid, began + limit)
        seconds = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        texts = [stream.read() for stream in (output, errors) if stream.seek(0) == 0]
    return Ended(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * UNIT, child.returncode, *texts)


def checked_command(command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None) -> Ended:
    """As `run_command`; SystemExit with what the command said where it fails."""
    ended = run_command(command, environment=environment)
    if ended.code:
        raise SystemExit(f"{' '.join(map(str, command))} ended with code {ended.code}\n{ended.failure_message}")
    return ended


def _wait(pid: int, deadline: float) -> tuple[int, object]:
    if deadline == float("inf"):
        return os.wait4(pid, 0)[1:]
    while True:
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if ended:
            return status, used
        if time.perf_counter() > deadline:
            os.killpg(pid, 9)
            deadline = float("inf")
        time.sleep(0.02)
