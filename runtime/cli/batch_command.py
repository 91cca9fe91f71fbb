"""`meshwright batch`."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

from ...engines.errors import InputError, printable
from ..batch import BatchResult, BatchSettings, read_lines, run_batch
from ..batch.manifest import MADE, MANIFEST
from ..images import MATTES
from ..pack.pack import Pack
from ..request import Request
from .asset_options import asset_options
from .commands import build_engines, check_lora, engine_options, request_options


def batch(options: Namespace) -> int:
    """Make what a list asks for and is not there yet; 1 if a line failed."""
    pack = Pack.open(options.pack, verify=False)
    if options.commercial:
        pack.require_commercial_use()
    folder, settings = Path(options.output), _settings(options)
    if folder.resolve() == Path(options.list).resolve():
        raise InputError("the results would be written among the pictures", received=str(folder), remedy="choose another folder")
    lines = read_lines(options.list, seed=options.seed, count=options.count)
    build_engines(options, pack)
    started = time.perf_counter()

    def show(entry: dict[str, Any], left: int) -> None:
        if not options.quiet or entry["state"] != MADE:
            said = f"{entry['seconds']:6.2f} s" if entry["state"] == MADE else f"failed: {entry['error']}"
            print(printable(f"line {entry['line']}: {entry['name']}  {said}, {left} left"), file=sys.stderr, flush=True)

    # Ray says on standard output which node was lost: that is for the result.
    with nullcontext() if options.ray is None else redirect_stdout(sys.stderr):
        result = run_batch(lines, folder, settings, jobs=options.jobs, timeout=options.timeout, ray=options.ray, on_result=show)
    if options.json:
        print(json.dumps({"manifest": str(folder / MANIFEST), **vars(result)}, indent=2))
    elif not options.quiet:
        print(printable(f"{folder / MANIFEST}: {_said(result)} in {time.perf_counter() - started:.1f} s"))
    return 1 if result.failed else 0


def _said(result: BatchResult) -> str:
    return f"{len(result.made)} made, {len(result.kept)} there already, {len(result.failed)} failed"


def _settings(options: Namespace) -> BatchSettings:
    """What all lines have in common; InputError where an option is out of range."""
    check_lora(options)
    shared = request_options(options)
    del shared["seed"]
    of_picture = {name: shared[name] for name in ("matte", "route") if name in shared}
    if of_picture["matte"] not in MATTES:
        raise InputError("unknown matte", received=repr(of_picture["matte"]), expected=", ".join(MATTES),
                         remedy="a matte of its own can stand in a line of the list")
    Request.load("object", **{name: value for name, value in shared.items() if name not in of_picture})
    return BatchSettings(options.pack, engine_options(options), shared, asset_options(options), options.engine or "",
                         options.collision is not None, options.lora, 1.0 if options.lora_scale is None else options.lora_scale,
                         options.format, options.turntable)
