"""Engines built and first used, as a user does it: commands in fresh processes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meshwright.engines.cache.cache import EngineCache, Entry
from meshwright.runtime.pack.pack import Pack

ROOT = Path(__file__).parent.parent


def build(pack: Pack, backend: str | None, limit: float) -> dict[str, Any]:
    """`meshwright build` of all components. What is in the cache already is not built again.

    Returns seconds of the command, "engines": seconds and bytes of each by name, and "failed": what went wrong, or None.
    """
    command = [sys.executable, "-m", "meshwright.runtime.cli.main", "build", str(pack.folder), *(["--backend", backend] if backend else [])]
    seconds, code, said = _ended(command, limit)
    prefix = f"{pack.manifest.name}/"
    found = [entry for entry in EngineCache().entries() if isinstance(entry, Entry) and entry.name.startswith(prefix)]
    engines = {entry.name.removeprefix(prefix): {"seconds": entry.seconds, "bytes": entry.bytes} for entry in found}
    return {"seconds": seconds, "engines": engines, "failed": None if code == 0 else _last(said, code)}


def cold(pack: Pack, asked: Mapping[str, Any], backend: str | None, limit: float) -> dict[str, Any]:
    """`meshwright generate` in a fresh process: seconds from its start to its end, and the peak of host and GPU memory."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "meshwright.runtime.cli.main", "generate", *_options(asked), "-o", str(Path(folder) / "made.glb"),
                   "--pack", str(pack.folder), "--quiet", "--json", *(["--backend", backend] if backend else [])]
        seconds, code, said = _ended(command, limit)
    if code:
        return {"failed": _last(said, code)}
    told = json.loads(said[said.index("{"):])
    return {"ms": [1000 * seconds], "stages": told["timings"], "host_bytes": max(told.get("memory", {}).values(), default=None)}


def _options(asked: Mapping[str, Any]) -> list[str]:
    options = [] if "prompt" not in asked else [str(asked["prompt"])]
    for name, value in asked.items():
        if name != "prompt":
            options += [f"--{name.replace('_', '-')}", str(value)]
    return options


def _ended(command: list[str], limit: float) -> tuple[float, int, str]:
    began = time.perf_counter()
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return time.perf_counter() - began, -1, f"not done within {limit:.0f} s"
    return time.perf_counter() - began, done.returncode, done.stdout if done.returncode == 0 else done.stderr


def _last(said: str, code: int) -> str:
    """The end of what a command said, in one line and without folders."""
    return re.sub(r"/[^ ;,]*/", "", " ".join(said.split()))[-400:] or f"ended with code {code}"

