"""What the full-size benchmark measures: an export, a component beside PyTorch eager, and a whole run."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from .full_size_packs import Job

ROOT = Path(__file__).parent.parent
# As `export.progress` writes the line of a finished component.
DONE = re.compile(r"\d+/\d+ (?P<kind>\w+): (?P<parameters>[\d,]+) parameters, (?P<megabytes>[\d,.]+) MB"
                  r"(, relative error (?P<error>[-+.\de]+))?, (?P<seconds>[\d.]+) s(, peak (?P<peak>[\d.]+) GB)?$")
# Rounds of a component beside PyTorch: as many as fit, within these.
FEWEST, MOST = 2, 10
MEMORY = ("normal", "low", "lowest")


def export(job: Job) -> dict[str, Any]:
    """The command in a fresh process: its seconds and peak memory, and what it said of each component."""
    command = [sys.executable, "-m", "meshwright.export.cli", *job.export_arguments()]
    with tempfile.TemporaryFile("w+") as said:
        seconds, peak, code = _watched(command, stderr=said)
        said.seek(0)
        lines = said.read().splitlines()
    if code:
        raise SystemExit(f"{' '.join(command)} ended with code {code}\n" + "\n".join(lines[-5:]))
    components = {found["kind"]: _facts(found) for line in lines if (found := DONE.match(line))}
    peak = highest(peak, (component["peak_bytes"] for component in components.values()))
    size = sum(file.stat().st_size for file in job.target.iterdir())
    return {"seconds": seconds, "peak_bytes": peak, "bytes": size, "components": components}


def highest(process: int, parts: Iterable[float | None]) -> float:
    """The peak of a process. Each part starts the system's mark anew, so that the process's own is that since the last part."""
    return max([process, *(part for part in parts if part)])


def _facts(found: re.Match[str]) -> dict[str, Any]:
    error, peak = found["error"], found["peak"]
    return {"parameters": int(found["parameters"].replace(",", "")), "bytes": float(found["megabytes"].replace(",", "")) * 1e6,
            "error": float(error) if error else None, "seconds": float(found["seconds"]),
            "peak_bytes": float(peak) * 1e9 if peak else None}


def compare(job: Job, kind: str, threads: int, budget: float) -> dict[str, Any]:
    """The component in ONNX Runtime and in PyTorch eager by turns, on the same inputs: median seconds and peak memory.

    budget : seconds that the rounds may take, about; the first run of each side is a warm-up
    """
    with tempfile.TemporaryDirectory(dir=job.folder) as scratch:
        task = {"pack": job.pack, "precision": job.precision, "size": job.sizes.name, "files": str(job.files),
                "folder": str(job.folder), "kind": kind, "threads": threads, "scratch": scratch}
        sides: dict[str, _Side] = {}
        try:
            for name in ("eager", "runtime"):  # the eager side draws the inputs and computes what is right
                sides[name] = _Side(name, task)
                sides[name].first = sides[name].ask()
            rounds = int(np.clip(budget / sum(side.first["seconds"] for side in sides.values()), FEWEST, MOST))
            found = {name: [] for name in sides}
            for _ in range(rounds):
                for name, side in sides.items():
                    found[name].append(side.ask())
        finally:
            for side in sides.values():
                side.close()
    figures = {name: {"seconds": median(a["seconds"] for a in answers), "opening": sides[name].ready["ready"],
                      "peak_bytes": max(a["peak_bytes"] or 0 for a in [sides[name].first, *answers])}
               for name, answers in found.items()}
    return {**figures, "rounds": rounds, "error": sides["runtime"].first["error"]}


class _Side:
    """A process of `full_size_worker`."""

    def __init__(self, side: str, task: dict[str, Any]) -> None:
        self._process = subprocess.Popen([sys.executable, "-m", "benchmarks.full_size_worker", side, json.dumps(task)], text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        self.ready = self._answer()
        self.first: dict[str, Any] = {}

    def ask(self) -> dict[str, Any]:
        print("run", file=self._process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a measuring process ended with code {self._process.wait()}")
        return json.loads(line)


def generate(job: Job, memory: str, threads: int) -> dict[str, Any]:
    """A whole run in a fresh process: seconds and peak memory by stage, those of the process, and the mesh's hash."""
    with tempfile.TemporaryDirectory(dir=job.folder) as folder:
        picture, output = Path(folder) / "picture.png", Path(folder) / "made.glb"
        write_picture(picture)
        command = [sys.executable, "-m", "meshwright.runtime.cli.main", "generate", *job.generate_arguments(picture, output),
                   "--threads", str(threads), "--memory", memory, "--json", "--quiet"]
        with tempfile.TemporaryFile("w+") as said:
            seconds, peak, code = _watched(command, stdout=said)
            said.seek(0)
            text = said.read()
        if code:
            raise SystemExit(f"{' '.join(command)} ended with code {code}")
        report = json.loads(text)
        return {"seconds": seconds, "peak_bytes": highest(peak, report["memory"].values()), "stages": report["timings"],
                "memory": report["memory"],
                "mesh": report["mesh"], "glb_bytes": output.stat().st_size,
                "sha256": hashlib.sha256(_binary_chunk(output.read_bytes())).hexdigest()}


def _binary_chunk(glb: bytes) -> bytes:
    """What follows the JSON of a GLB, which holds the timings: vertices, faces and texture."""
    return glb[20 + int.from_bytes(glb[12:16], "little"):]


def write_picture(path: Path, size: int = 512) -> None:
    """A shaded ball on nothing, as RGBA."""
    from PIL import Image

    axis = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = axis[None, :], -axis[:, None]
    height = np.sqrt(np.clip(0.64 - x**2 - y**2, 0, None))
    light = 0.3 + 0.7 * np.clip(0.4 * x + 0.6 * y + 0.7 * height, 0, None)
    pixels = np.stack([0.9 * light, 0.3 * light, 0.2 * light, height > 0], axis=-1)
    Image.fromarray((pixels.clip(0, 1) * 255).round().astype(np.uint8), "RGBA").save(path)


def _watched(command: list[str], **streams: Any) -> tuple[float, int, int]:
    """Seconds, largest resident bytes and exit code of a child."""
    began = time.perf_counter()
    child = subprocess.Popen(command, cwd=ROOT, **streams)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    # Linux counts in kilobytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - began, used.ru_maxrss * unit, child.returncode
