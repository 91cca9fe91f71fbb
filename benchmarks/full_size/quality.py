"""Whole runs of the published models at a `--quality`: what a user waits for, from the start of the process to the GLB.

    python -m benchmarks.full_size --work DIR --size full --quality draft standard

A pack that lies in DIR already is taken as it is, else it is exported first. A run that was measured is not made again.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from ..harness.results import Results, gib, table
from . import runs
from .job import Job

QUALITIES = ("draft", "standard", "full")


def measure(job: Job, results: Results, threads: int, qualities: list[str], memory: str) -> None:
    """The runs of one pack that were not measured yet. memory : of `--memory`"""
    if not (job.target / "pack.json").is_file():
        _say(f"{job.name}: export")
        runs.export(job)
    found = results.document["packs"].setdefault(job.name, {})
    for quality in qualities:
        if quality in found:
            continue
        load = os.getloadavg()[0]
        found[quality] = runs.generate(job, memory, threads, quality) | {"steps": steps(job, quality), "memory_option": memory,
                                                                         "load": [load, os.getloadavg()[0]]}
        results.save()
        _say(f"{job.name}: a run at {quality} took {found[quality]['seconds']:.1f} s")


def steps(job: Job, quality: str) -> dict[str, int]:
    """How many steps each loop of a pack has at a quality."""
    from meshwright.runtime.pack.pack import Pack
    from meshwright.runtime.recipes.settings import coarse_settings, drawing_settings
    from meshwright.runtime.request import Request

    pack, request = Pack.open(job.target, verify=False).manifest, Request(prompt="a chair", quality=quality)
    loops = {stage: loop for stage, loop in (("refined views", pack.refiner), ("views", pack.multiview)) if loop is not None}
    found = {stage: drawing_settings(request, pack, loop).steps for stage, loop in loops.items()}
    return found if pack.prior is None else {"coarse shape": coarse_settings(request, pack).steps, **found}


def page(document: dict[str, Any]) -> str:
    """`document` as `full_size_quality` keeps it."""
    where = document["machine"]
    size = "at full size" if document["size"] == "full" else "shrunk"
    parts = [f"# The published models {size}, whole runs",
             f"{where['processor']}, {where['cores']} cores, {document['threads']} threads. Random weights in the published files' shapes "
             "and formats; one run each, from the start of the process to the GLB. With random weights the time is what it would be and "
             "the mesh means nothing: quality with real weights was not looked at. \"All cores\" is what the processor worked.",
             *document.get("notes", [])]
    for name, found in document["packs"].items():
        if found:
            parts += [f"## {name}", _table(found), *(_line(quality, run) for quality, run in found.items())]
    return "\n\n".join(parts)


def _table(found: dict[str, Any]) -> str:
    stages = next(iter(found.values()))["memory"]
    heading = ["stage", *(f"{quality}, {unit}" for quality in found for unit in ("s", "GiB"))]
    rows = [[stage, *(cell for run in found.values() for cell in (f"{run['stages'][stage]:.2f}", gib(run["memory"][stage])))]
            for stage in stages]
    rows.append(["the process", *(cell for run in found.values() for cell in (f"{run['seconds']:.2f}", gib(run["peak_bytes"])))])
    rows.append(["all cores", *(cell for run in found.values() for cell in (f"{run['processor_seconds']:.2f}", ""))])
    return table(heading, rows)


def _line(quality: str, run: dict[str, Any]) -> str:
    loops = ", ".join(f"{stage} {count} steps" for stage, count in run["steps"].items())
    low, high = run["load"]
    return f"`{quality}`: {loops}; `--memory {run['memory_option']}`; load {low:.1f} at the start and {high:.1f} at the end."


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
