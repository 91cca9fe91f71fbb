"""`meshwright bench`: how fast a pack is on this machine, for people, for programs, and in one line for an issue."""

from __future__ import annotations

import json
import platform
import sys
from argparse import Namespace
from importlib.metadata import version
from statistics import median
from typing import Any

from ...engines.errors import InputError, printable
from ...engines.machine.hardware import detect_hardware
from ..pack.pack import Pack
from ..pipeline import Pipeline
from ..recipes.routes import choose_route
from ..speed import Speed, TimedModels, measure, sample_request
from .commands import build_engines, engine_options
from .progress import Progress

MAX_ROUNDS = 1000


def bench(options: Namespace) -> int:
    """Measure, and print the times."""
    if not 1 <= options.rounds <= MAX_ROUNDS:
        raise InputError("rounds is out of range", received=str(options.rounds), expected=f"1 to {MAX_ROUNDS}")
    pack = Pack.open(options.pack)
    pack.require_trust()
    sample = sample_request(pack, options.steps)
    choose_route(sample, pack.manifest)
    build_engines(options, pack)
    models = TimedModels(pack, **engine_options(options))
    progress = Progress(sys.stderr, Pipeline(models).stages_of(sample), quiet=options.json)
    try:
        speed = measure(models, options.rounds, progress, options.steps)
    finally:
        progress.clear()
        models.close()
    report = _report(pack, speed, options)
    print(json.dumps(report, indent=2) if options.json else printable(page(report)))
    return 0


def page(report: dict[str, Any]) -> str:
    """The report for people; its last line is for an issue."""
    width = max(map(len, (*report["stages"], *report["components"])))
    lines = [f"{name:<{width}}  {seconds:8.3f} s" for name, seconds in report["stages"].items()]
    parts = [f"{name:<{width}}  {seconds:8.3f} s" for name, seconds in report["components"].items()]
    first, warm = (f"{report[name]:.2f} s" for name in ("first", "warm"))
    return "\n".join([f"Stages, median of {report['rounds']}:", *lines, "", "Components, within the stages:", *parts, "",
                      f"{'first mesh':<{width}}  {first:>10}", f"{'each further':<{width}}  {warm:>10}", "", report["line"]])


def _report(pack: Pack, speed: Speed, options: Namespace) -> dict[str, Any]:
    found = detect_hardware()
    report: dict[str, Any] = {
        "meshwright": version("meshwright"), "pack": {"name": pack.manifest.name, "version": pack.manifest.version, "sha256": pack.hash},
        "system": found.host.system, "processor": found.host.processor, "cores": found.host.cores, "memory": found.host.total_bytes,
        "gpus": [gpu.name for gpu in found.gpus], "python": platform.python_version(), "threads": options.threads,
        **{name: speed.provenance[name] for name in ("backend", "providers")}, "steps": options.steps, "rounds": len(speed.warm),
        "first": speed.first, "warm": median(speed.warm), "stages": dict(speed.stages), "components": dict(speed.components),
        "peak_bytes": speed.peak_bytes, "device_bytes": speed.device_bytes}
    return report | {"line": _line(report)}


def _line(report: dict[str, Any]) -> str:
    """All that one has to know to compare it with another machine."""
    pack, providers = report["pack"], ", ".join(name.removesuffix("ExecutionProvider") for name in report["providers"])
    threads = "" if report["threads"] is None else f", {report['threads']} threads"
    steps = "" if report["steps"] is None else f", {report['steps']} steps"
    held = {"peak memory": report["peak_bytes"], "on the GPU": report["device_bytes"]}
    memory = [f"{what} {count / 1e6:.0f} MB" for what, count in held.items() if count is not None]
    times = f"first {report['first']:.2f} s, warm {report['warm']:.2f} s (networks {sum(report['components'].values()):.2f} s)"
    return " | ".join([f"meshwright {report['meshwright']}", f"{pack['name']} {pack['version']} {pack['sha256'][:12]}{steps}",
                       f"{report['processor'] or 'processor unknown'}, {report['cores']} cores{threads}", *map(str, report["gpus"]),
                       f"{report['system']}, Python {report['python']}", f"{report['backend']}{f' ({providers})' if providers else ''}",
                       times, *memory])
