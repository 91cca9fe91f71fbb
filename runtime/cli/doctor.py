"""`meshwright doctor`: what this machine has, what would run each pack on it, and what is broken.

`examine` gives everything as plain JSON with the same keys on every machine; `doctor_page` sets it in lines. Packages
are tried in processes of their own, so nothing heavy is imported here, and one that is broken ends nothing.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...engines.cache import cache as engine_cache
from ...engines.machine.hardware import Hardware, detect_hardware
from ...engines.machine.packages import PACKAGES, Found, Trial
from ...engines.machine.products import PRODUCTS
from ..backends.candidates import CUDA
from ..pack.pack import BUNDLED, VARIABLE, candidates, find, is_bundled
from .doctor_packs import machine_of, pack_row, smallest_model

CUDA_INSTALL = "pip uninstall -y onnxruntime && pip install 'onnxruntime-gpu[cuda,cudnn]' cuda-core cuda-bindings"


def examine(packs: Sequence[str] = ()) -> dict[str, Any]:
    """Look at the machine, the backends and the packs: those named, or all that are found.

    Errors: PackNotFound for a name that there is no pack of. Whatever else is wrong is in the result, in `problems`.
    """
    folders = [find(name) for name in packs]
    trials = [Trial(package, smallest_model() if package.name == "onnxruntime" else None) for package in PACKAGES]
    try:
        hardware = detect_hardware()
        unreadable = None if packs else _add_candidates(folders)
        founds = {trial.package.name: trial.end() for trial in trials}
    finally:
        for trial in trials:
            trial.stop()
    machine = machine_of(hardware, founds)
    rows = [pack_row(folder, founds["onnxruntime"], machine) for folder in folders]
    cache = engine_cache.describe()
    report = {
        "meshwright": version("meshwright"), "python": platform.python_version(), "host": asdict(hardware.host),
        "driver": {"version": hardware.driver, "cuda": hardware.cuda, "why_not": dict(hardware.why_not)},
        "gpus": [asdict(gpu) for gpu in hardware.gpus], "no_gpu": hardware.no_gpu,
        "backends": [_backend(found, hardware) for found in founds.values()], "packs": rows,
        "disk": _disks(folders, cache), "cache": cache, "notes": _notes(founds, hardware, cache),
    }
    problems = _problems(founds, hardware, rows) + ([unreadable] if unreadable else [])
    if not packs and unreadable is None and not any(map(is_bundled, folders)):
        problems.append(f"the bundled pack is missing from {BUNDLED}; install meshwright again")
    return report | {"problems": problems, "ok": not problems}


def _add_candidates(folders: list[Path]) -> str | None:
    try:
        folders += candidates()
    except OSError as error:
        return f"the folders of packs cannot be read: {error}"
    return None


def _backend(found: Found, hardware: Hardware) -> dict[str, Any]:
    """One package. works : it is installed and not broken; why_not : what is broken, or why it has nothing to do here."""
    idle = found.idle if found.idle or not found.installed else _idle(found, hardware)
    row = {"name": found.package.name, "gives": found.package.gives, "install": found.package.install, "installed": found.installed,
           "distributions": list(found.distributions), "version": found.version, "license": found.license,
           "works": found.installed and found.broken is None, "why_not": found.broken or idle}
    return row | {"providers": [{"name": name, "works": why is None, "why_not": why} for name, why in found.providers.items()],
                  "cuda_install": CUDA_INSTALL if found.package.name == "onnxruntime" and CUDA not in found.providers else None}


def _idle(found: Found, hardware: Hardware) -> str | None:
    """Why TensorRT, though it loads, has nothing to do here."""
    if not found.package.name.startswith("tensorrt"):
        return None
    if not hardware.gpus:
        return "it loads, but there is no GPU to run its engines"
    return next(product for product in PRODUCTS if product.module == found.package.name).not_listed(hardware)


def _disks(folders: Sequence[Path], cache: dict[str, Any]) -> list[dict[str, Any]]:
    """Free space of each file system with packs or the cache on it."""
    places = [("packs", folder) for folder in folders] + ([("cache", Path(cache["folder"]))] if cache["folder"] else [])
    rows: dict[tuple[str, Any], dict[str, Any]] = {}
    for what, folder in places:
        # Not `Path.exists`, which raises for a folder that may not be looked into.
        there = next((parent for parent in [folder, *folder.absolute().parents] if os.path.exists(parent)), folder)
        try:
            usage = shutil.disk_usage(there)
            device: int | str = os.stat(there).st_dev
            row = {"what": what, "folder": str(folder), "free_bytes": usage.free, "total_bytes": usage.total, "why_not": None}
        except OSError as error:
            device, row = str(folder), {"what": what, "folder": str(folder), "free_bytes": None, "total_bytes": None, "why_not": str(error)}
        rows.setdefault((what, device), row)
    return list(rows.values())


def _notes(founds: dict[str, Found], hardware: Hardware, cache: dict[str, Any]) -> list[str]:
    """What the user should know, though nothing is broken."""
    notes = [hardware.old_driver] if hardware.old_driver and hardware.gpus else []
    together = founds["onnxruntime"].distributions
    if len(together) > 1:
        notes.append(f"{' and '.join(together)} are installed into one folder, where the last one wins; uninstall all but one, "
                     "then install that one again")
    for part in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        if not os.path.isdir(part):
            notes.append(f"${VARIABLE} names {part}, which is no folder")
    if cache["damaged"]:
        notes.append(f"{cache['damaged']} engines in {cache['folder']} are damaged; they are built again when they are needed")
    return notes


def _problems(founds: dict[str, Found], hardware: Hardware, rows: Sequence[dict[str, Any]]) -> list[str]:
    """What is installed and does not work, or keeps a bundled pack from running."""
    problems = [f"{name}: {found.broken}" for name, found in founds.items() if found.broken]
    runs = founds["onnxruntime"]
    if not runs.installed:
        problems.append(f"onnxruntime is missing; {runs.package.install}")
    if hardware.gpus and runs.providers.get(CUDA):
        problems.append(f"onnxruntime: {runs.providers[CUDA]}")
    for row in rows:
        if row["error"]:
            problems.append(f"pack {row['folder']}: {row['error']}")
        elif row["bundled"] and row["memory"]["advice"] is None and hardware.host.available_bytes is not None:
            problems.append(f"pack {row['name']}: the memory is too little, even with --memory lowest")
    return problems
