"""Work of a library that may crash, never end, or fill the memory: in a child process that is bounded in time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from . import parent
from .child import start_child


class IsolatedFailure(Exception):
    """There is no answer; the text says why. missing : the package that is not installed, where that is why"""

    def __init__(self, reason: str, missing: str = "") -> None:
        super().__init__(reason)
        self.missing = missing


def run_isolated(worker: Path, arguments: Sequence[object], packages: Sequence[str], data: bytes, timeout_s: float) -> bytes:
    """What a worker writes to its standard output, given `data` on its standard input. IsolatedFailure if it does not end well.

    The worker is a file that imports nothing of this project and is run by its path in an isolated interpreter, with the arguments and
    then: the seconds it has, the path of `parent.py`, the id of this process, and the folders to put on its path. The child never outlives
    this call, also not after an interrupt.

    packages : what it imports; nothing else but the standard library is promised to be there
    """
    command = [_interpreter(), "-I", "-S", str(worker), *map(str, arguments), str(timeout_s), parent.__file__, str(os.getpid()),
               *dict.fromkeys(map(_folder, packages))]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # numpy starts no threads in it
    name = packages[-1]
    try:
        with start_child(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as child:
            try:
                answer, complaint = child.communicate(data, timeout_s)
            except BaseException:
                child.kill()
                child.wait()
                raise
    except subprocess.TimeoutExpired:
        raise IsolatedFailure(f"{name} took longer than {timeout_s:g} s") from None
    except OSError as error:
        raise IsolatedFailure(f"the child process did not start: {error}") from error
    if child.returncode != 0:
        lines = complaint.decode(errors="replace").strip().splitlines()
        raise IsolatedFailure(f"{name} failed: {lines[-1] if lines else f'status {child.returncode}'}")
    return bytes(answer)


def _interpreter() -> str:
    executable = Path(sys.executable or "")
    if getattr(sys, "frozen", False) or not executable.stem.lower().startswith(("python", "pypy")):
        raise IsolatedFailure("this application embeds Python and has no interpreter to start")
    return str(executable)


def _folder(package: str) -> str:
    """The folder from which a package, or a module of one file, is imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise IsolatedFailure(f"the package {package} is not installed", package)
    origin = Path(spec.origin)
    return str(origin.parents[1] if origin.stem == "__init__" else origin.parent)
