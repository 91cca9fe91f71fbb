"""Texture coordinates: xatlas in a child process with a time limit, our box mapping behind it.

xatlas gives fewer and better shaped charts, but its time is not bounded by the size of the mesh and
it cannot be interrupted from the thread that called it. In a child it can be killed, which also
bounds what a crash in it costs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ...engines.errors import InputError
from ...engines.machine import parent
from ...engines.machine.child import start_child
from ..geometry.mesh import Mesh
from .boxmap import box_unwrap

PADDING = 4  # texels between charts, so that two mip levels stay clean
SLOW_ABOVE = 40_000  # faces; from here on xatlas takes several seconds, and the box map is used at once
WORKER = Path(__file__).with_name("xatlas_worker.py")


@dataclass(frozen=True, eq=False)
class Unwrapped:
    """A mesh with texture coordinates, and how it came by them.

    mesh : same faces in the same order, vertices repeated along the seams; `uvs` set
    source : (n,) int32, for each vertex the vertex of the input that it copies
    method : "xatlas" or "box"
    reason : why it is not xatlas, in words; empty for xatlas
    """

    mesh: Mesh
    source: np.ndarray
    method: str
    reason: str = ""


class _Unavailable(Exception):
    """xatlas gave no result; the text says why."""


def unwrap(mesh: Mesh, texture_size: int, timeout_s: float = 10.0) -> Unwrapped:
    """Cut the mesh into charts and pack them, without overlap, into the unit square.

    xatlas runs in a child process for at most `timeout_s` seconds. If it takes longer, fails, is not
    installed, cannot be started (an application that embeds Python has no interpreter to start), or
    the mesh is very large, `boxmap.box_unwrap` does the work, whose time grows linearly with the
    mesh. Either way the same input gives the same output; only a machine so slow that the limit
    strikes gets the other one. `timeout_s` 0 asks for the box map.

    texture_size : texels along a side, a power of two from 16, else InputError; sets the space between charts
    """
    if texture_size < 16 or texture_size & (texture_size - 1):
        raise InputError("texture size", received=str(texture_size), expected="a power of two from 16",
                         remedy="choose 512 or 1024")
    try:
        if timeout_s <= 0:
            raise _Unavailable("no time was given for xatlas")
        source, faces, uvs = _run_xatlas(mesh, texture_size, timeout_s)
        method, reason = "xatlas", ""
    except _Unavailable as unavailable:
        source, faces, uvs = box_unwrap(mesh, texture_size, PADDING)
        method, reason = "box", str(unavailable)
    unwrapped = mesh.select_vertices(source, faces).replace(uvs=uvs)
    return Unwrapped(unwrapped, source.astype(np.int32), method, reason)


def _run_xatlas(mesh: Mesh, texture_size: int, timeout_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(source (n,), faces (m, 3), uvs (n, 2)) from the child process, or _Unavailable."""
    if not 0 < len(mesh.faces) <= SLOW_ABOVE:
        raise _Unavailable(f"the mesh has {len(mesh.faces)} faces")
    header = np.array([len(mesh.vertices), len(mesh.faces)], "<i8")
    data = header.tobytes() + mesh.vertices.astype("<f4").tobytes() + mesh.faces.astype("<u4").tobytes()
    return _parse(_communicate(_command(texture_size, timeout_s), data, timeout_s), mesh)


def _command(texture_size: int, timeout_s: float) -> list[str]:
    """The command line of the child: an isolated interpreter that finds numpy and xatlas only."""
    executable = Path(sys.executable or "")
    if getattr(sys, "frozen", False) or not executable.stem.lower().startswith(("python", "pypy")):
        raise _Unavailable("this application embeds Python and has no interpreter to start")
    numpy, xatlas = (spec.origin if spec else None for spec in map(find_spec, ("numpy", "xatlas")))
    if numpy is None or xatlas is None:
        raise _Unavailable("the package xatlas is not installed")
    folders = [Path(numpy).parents[1], Path(xatlas).parent]
    return [str(executable), "-I", "-S", str(WORKER), str(texture_size), str(PADDING), str(timeout_s), parent.__file__, str(os.getpid()),
            *dict.fromkeys(map(str, folders))]


def _communicate(command: list[str], data: bytes, timeout_s: float) -> bytes:
    """What the child wrote; it never outlives this call, also not after an interrupt."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # numpy starts no threads in it
    try:
        with start_child(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as child:
            try:
                answer, complaint = child.communicate(data, timeout_s)
            except BaseException:
                child.kill()
                child.wait()
                raise
    except subprocess.TimeoutExpired:
        raise _Unavailable(f"xatlas took longer than {timeout_s:g} s") from None
    except OSError as error:
        raise _Unavailable(f"the child process did not start: {error}") from error
    if child.returncode != 0:
        lines = complaint.decode(errors="replace").strip().splitlines()
        raise _Unavailable(f"xatlas failed: {lines[-1] if lines else f'status {child.returncode}'}")
    return answer


def _parse(data: bytes, mesh: Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The child's arrays, checked: right sizes, every face still between its own vertices, uvs in the square."""
    count = int(np.frombuffer(data, "<i8", 1)[0]) if len(data) >= 8 else -1
    if len(data) != 8 + count * 12 + mesh.faces.size * 4:
        raise _Unavailable("xatlas gave an incomplete answer")
    source = np.frombuffer(data, "<u4", count, 8).astype(np.int64)
    faces = np.frombuffer(data, "<u4", mesh.faces.size, 8 + count * 4).reshape(-1, 3).astype(np.int32)
    uvs = np.frombuffer(data, "<f4", count * 2, 8 + count * 4 + faces.nbytes).reshape(-1, 2)
    if not np.array_equal(source[faces], mesh.faces):
        raise _Unavailable("xatlas changed the faces")
    if not (np.isfinite(uvs).all() and uvs.min() >= 0 and uvs.max() <= 1):
        raise _Unavailable("xatlas left the unit square")
    return source, faces, uvs
