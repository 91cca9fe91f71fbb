"""`meshwright doctor`: what this machine has, what would run each pack on it, and what is broken.

`examine` gives everything as plain JSON with the same keys on every machine; `doctor_page` sets it in lines. Packages
are tried in processes of their own, so nothing heavy is imported here, and one that is broken ends nothing.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...engines.cache import cache as engine_cache
from ...engines.errors import MeshwrightError
from ...engines.machine.hardware import Hardware, detect_hardware
from ...engines.machine.packages import PACKAGES, PackageProbe, PackageStatus
from ...engines.machine.products import PRODUCTS
from ..backends.candidates import CPU, CUDA, Candidate, Machine
from ..backends.memory_needs import advice, gpu_needs, is_large, largest_file, needs
from ..backends.selector import BackendSelector
from ..pack.manifest import Component, Manifest
from ..pack.pack import BUNDLED, VARIABLE, Pack, find_pack, installed_packs, is_bundled

CUDA_INSTALL = "pip uninstall -y onnxruntime && pip install 'onnxruntime-gpu[cuda,cudnn]' cuda-core cuda-bindings"
# Of larger packs the hashes are left to `meshwright verify`: reading gigabytes would take longer than all the rest.
CHECKED = 256 << 20


def examine(packs: Sequence[str] = ()) -> dict[str, Any]:
    """Look at the machine, the backends and the packs: those named, or all that are found.

    Errors: PackNotFound for a name that there is no pack of. Whatever else is wrong is in the result, in `problems`.
    """
    folders = [find_pack(name) for name in packs]
    probes = [PackageProbe(package, smallest_model() if package.name == "onnxruntime" else None) for package in PACKAGES]
    try:
        hardware = detect_hardware()
        unreadable = None if packs else _add_candidates(folders)
        packages = {probe.package.name: probe.end() for probe in probes}
    finally:
        for probe in probes:
            probe.stop()
    machine = machine_of(hardware, packages)
    rows = [pack_row(folder, packages["onnxruntime"], machine) for folder in folders]
    cache = engine_cache.describe()
    report = {
        "meshwright": version("meshwright"), "python": platform.python_version(), "host": asdict(hardware.host),
        "driver": {"version": hardware.driver, "cuda": hardware.cuda, "why_not": dict(hardware.why_not)},
        "gpus": [asdict(gpu) for gpu in hardware.gpus], "no_gpu": hardware.no_gpu,
        "backends": [_backend(found, hardware) for found in packages.values()], "packs": rows,
        "disk": _disks(folders, cache), "cache": cache, "notes": _notes(packages, hardware, cache),
    }
    problems = _problems(packages, hardware, rows) + ([unreadable] if unreadable else [])
    if not packs and unreadable is None and not any(map(is_bundled, folders)):
        problems.append(f"the bundled pack is missing from {BUNDLED}; reinstall meshwright")
    return report | {"problems": problems, "ok": not problems}


def _add_candidates(folders: list[Path]) -> str | None:
    try:
        folders += installed_packs()
    except OSError as error:
        return f"the folders of packs cannot be read: {error}"
    return None


def _backend(found: PackageStatus, hardware: Hardware) -> dict[str, Any]:
    """One package. works : it is installed and not broken; why_not : what is broken, or why it has nothing to do here."""
    idle = found.idle if found.idle or not found.installed else _idle(found, hardware)
    row = {"name": found.package.name, "gives": found.package.gives, "install": found.package.install, "installed": found.installed,
           "distributions": list(found.distributions), "version": found.version, "license": found.license,
           "works": found.installed and found.broken is None, "why_not": found.broken or idle}
    return row | {"providers": [{"name": name, "works": why is None, "why_not": why} for name, why in found.providers.items()],
                  "cuda_install": CUDA_INSTALL if found.package.name == "onnxruntime" and CUDA not in found.providers else None}


def _idle(found: PackageStatus, hardware: Hardware) -> str | None:
    """Why TensorRT, though it loads, has nothing to do here."""
    if not found.package.name.startswith("tensorrt"):
        return None
    if not hardware.gpus:
        return "it loads, but there is no GPU to run its engines"
    return next(product for product in PRODUCTS if product.module == found.package.name).unsupported_reason(hardware)


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


def _notes(packages: dict[str, PackageStatus], hardware: Hardware, cache: dict[str, Any]) -> list[str]:
    """What the user should know, though nothing is broken."""
    notes = [hardware.old_driver] if hardware.old_driver and hardware.gpus else []
    together = packages["onnxruntime"].distributions
    if len(together) > 1:
        notes.append(f"{' and '.join(together)} are installed into one folder, where the last one wins; uninstall all but one, "
                     "then install that one again")
    for part in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        if not os.path.isdir(part):
            notes.append(f"${VARIABLE} names {part}, which is not a folder")
    if cache["damaged"]:
        notes.append(f"{cache['damaged']} engines in {cache['folder']} are damaged; they are rebuilt when needed")
    return notes


def _problems(packages: dict[str, PackageStatus], hardware: Hardware, rows: Sequence[dict[str, Any]]) -> list[str]:
    """What is installed and does not work, or keeps a bundled pack from running."""
    problems = [f"{name}: {found.broken}" for name, found in packages.items() if found.broken]
    runs = packages["onnxruntime"]
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


def pack_row(folder: Path, onnxruntime: PackageStatus, machine: Machine) -> dict[str, Any]:
    """Everything about the pack in a folder; `error` is None, or says why it cannot be used."""
    row: dict[str, Any] = {"name": folder.name, "folder": str(folder), "bundled": is_bundled(folder), "error": None}
    try:
        pack = Pack.open(folder, verify=False)
        checked = pack.bytes <= CHECKED
        pack = Pack.open(folder) if checked else pack
    except (MeshwrightError, OSError) as error:
        return row | {"error": str(error)}
    manifest, selector = pack.manifest, BackendSelector(pack, machine=machine)
    return row | {
        "name": manifest.name, "version": manifest.version, "recipe": manifest.recipe, "sha256": pack.hash, "bytes": pack.bytes,
        "hashes_checked": checked, "trusted": pack.trusted,
        "license": manifest.license.id, "commercial_use": manifest.license.commercial_use,
        "notes": list(manifest.license.notes), "sources": [source.describe() for source in dict.fromkeys(manifest.sources)],
        "memory": memory(manifest, machine.hardware.host.available_bytes), "gpu_memory": gpu_needs(manifest),
        "components": [component_row(manifest, component, onnxruntime, selector) for component in manifest.components.values()]}


def smallest_model() -> Path | None:
    """The smallest model file of the bundled packs, for a backend to try; None where they are not whole."""
    for folder in sorted(BUNDLED.iterdir()) if BUNDLED.is_dir() else []:
        try:
            pack = Pack.open(folder, verify=False)
        except (MeshwrightError, OSError):
            continue
        return pack.path(min(pack.manifest.components.values(), key=pack.manifest.size).file)
    return None


def memory(manifest: Manifest, available: int | None) -> dict[str, Any]:
    """Estimated bytes for each value of `--memory`, whether they are there now, and which value to take."""
    needed = needs(manifest)
    return {**{how: {"bytes": count, "enough": None if available is None else count <= available} for how, count in needed.items()},
            "advice": advice(needed, available), "largest_file": largest_file(manifest)}


def component_row(manifest: Manifest, component: Component, onnxruntime: PackageStatus, selector: BackendSelector) -> dict[str, Any]:
    """One component, and what would run it today. backend : None where nothing can. engine : TensorRT's, if one fits."""
    candidate, why = choice(component, onnxruntime, selector)
    return {"name": component.name, "kind": component.kind, "bytes": manifest.size(component), "precision": component.precision,
            "compute": component.compute, "parameters": component.parameters, "large": is_large(manifest, component),
            "backend": candidate and candidate.backend, "why": why,
            "provider": candidate.providers[0] if candidate and candidate.providers else None,
            "engine": engine_row(candidate, selector) if candidate and candidate.entry else None}


def choice(component: Component, onnxruntime: PackageStatus, selector: BackendSelector) -> tuple[Candidate | None, str]:
    """What runs a component without further options, as far as that shows without opening it, and why nothing better does."""
    if not onnxruntime.installed or onnxruntime.broken:
        return None, f"every backend needs ONNX Runtime, and it is {'broken' if onnxruntime.installed else 'missing'}"
    (candidate, *_), rejected = selector.candidates(component, lambda entry: False)
    if candidate.entry is not None:
        is_new = candidate.golden_result is None
        checked = "is checked with the golden inputs when it is first used" if is_new else "has passed the golden inputs"
        return candidate, f"an engine is built for it, which {checked}"
    why = [f"{each.backend}: {each.why}" for each in rejected] if selector.machine.hardware.gpus else ["there is no GPU"]
    # The same command builds for each of the components.
    why += [selector.build_command_for(each.backend) for each in rejected if each.cause == "not built"][:1]
    if component.compute == "fp16" and candidate.providers[:1] == (CPU,):
        why.append("it calculates in half precision, which is slow on a CPU: export with --precision fp16 for one")
    return candidate, "; ".join(why) or "it is the best of what is installed"


def engine_row(candidate: Candidate, selector: BackendSelector) -> dict[str, Any]:
    """A built engine, what the golden inputs said of it, and how its loops run."""
    entry, golden_result = candidate.entry, candidate.golden_result
    assert entry is not None  # it is a built one
    return {"file": entry.path.name, "version": entry.key.version, "bytes": entry.bytes, "build_seconds": entry.seconds,
            "golden": golden_result and {"relative": golden_result.relative, "tolerance": golden_result.tolerance},
            "loops": {loop: asdict(each) for loop, each in selector.engines.record(entry).loops().items()}}


def machine_of(hardware: Hardware, packages: Mapping[str, PackageStatus]) -> Machine:
    """The machine as `BackendSelector` sees it, with what the trials of the packages have shown besides."""
    machine = Machine.of(hardware)
    tried = {product: why or packages[product.module].broken or packages[product.module].idle for product, why in machine.products.items()}
    return replace(machine, products=tried, cuda=machine.cuda or _cuda(packages["onnxruntime"]))


def _cuda(onnxruntime: PackageStatus) -> str | None:
    if CUDA not in onnxruntime.providers:
        return "this build of it has no CUDA"
    return None if onnxruntime.providers[CUDA] is None else "its CUDA provider does not start here"
