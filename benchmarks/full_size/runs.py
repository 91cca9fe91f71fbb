"""What the full-size benchmark measures: an export, a component beside PyTorch eager, and a whole run."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ..harness.command import CLI, checked_command
from ..harness.turns import interleaved
from ..harness.worker import Worker
from .job import Job

# As `export.progress` writes the line of a finished component.
DONE = re.compile(r"\d+/\d+ (?P<kind>\w+): (?P<parameters>[\d,]+) parameters, (?P<megabytes>[\d,.]+) MB"
                  r"(, relative error (?P<error>[-+.\de]+))?, (?P<seconds>[\d.]+) s(, peak (?P<peak>[\d.]+) GB)?$")
# Rounds of a component beside PyTorch: as many as fit, within these.
FEWEST, MOST = 2, 10
MEMORY = ("normal", "low", "lowest")


def export(job: Job) -> dict[str, Any]:
    """The command in a fresh process: its seconds and peak memory, and what it said of each component."""
    ended = checked_command([sys.executable, "-m", "meshwright.export.cli", *job.export_arguments()])
    components = {found["kind"]: _facts(found) for line in ended.errors.splitlines() if (found := DONE.match(line))}
    peak = highest(ended.peak_bytes, (component["peak_bytes"] for component in components.values()))
    size = sum(file.stat().st_size for file in job.target.iterdir())
    return {"seconds": ended.seconds, "peak_bytes": peak, "bytes": size, "components": components}


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
        # The eager side comes first: it draws the inputs and computes what is right.
        sides = {name: Worker("benchmarks.full_size.side", name, json.dumps(task)) for name in ("eager", "runtime")}
        try:
            found = interleaved(sides, {"do": "run"}, budget=budget, fewest=FEWEST, most=MOST)
        finally:
            for side in sides.values():
                side.close()
    for name, answer in found.items():
        if "failed" in answer:
            raise SystemExit(f"{job.name}, {kind}, {name}: {answer['failed']}")
    figures = {name: {"seconds": median(answer["ms"]) / 1000, "opening": sides[name].ready["ready"], "peak_bytes": answer["peak_bytes"]}
               for name, answer in found.items()}
    return {**figures, "rounds": len(found["runtime"]["ms"]), "error": found["runtime"]["error"]}


def generate(job: Job, memory: str, threads: int, quality: str | None = None) -> dict[str, Any]:
    """A whole run in a fresh process: seconds and peak memory by stage, those of the process, and the mesh's hash.

    quality : of `--quality`; None for two steps a loop
    """
    with tempfile.TemporaryDirectory(dir=job.folder) as folder:
        picture, output = Path(folder) / "picture.png", Path(folder) / "made.glb"
        write_picture(picture)
        ended = checked_command([*CLI, "generate", *job.generate_arguments(picture, output, quality), "--threads", str(threads),
                                 "--memory", memory, "--json", "--quiet"])
        report = json.loads(ended.output)
        return {"seconds": ended.seconds, "processor_seconds": ended.processor_seconds,
                "peak_bytes": highest(ended.peak_bytes, report["memory"].values()), "stages": report["timings"],
                "memory": report["memory"], "mesh": report["mesh"], "glb_bytes": output.stat().st_size,
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
