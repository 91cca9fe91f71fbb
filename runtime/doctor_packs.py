"""The doctor's view of one pack: whether it is whole, what would run each component, and whether the memory is enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..engines.errors import MeshwrightError
from ..engines.packages import Found
from .manifest import Component, Manifest
from .memory_needs import advice, is_large, largest_file, needs
from .pack import BUNDLED, Pack

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# Of larger packs the hashes are left to `meshwright verify`: reading gigabytes would take longer than all the rest.
CHECKED = 256 << 20


def pack_row(folder: Path, onnxruntime: Found, available: int | None) -> dict[str, Any]:
    """Everything about the pack in a folder; `error` is None, or says why it cannot be used."""
    row: dict[str, Any] = {"name": folder.name, "folder": str(folder), "bundled": is_bundled(folder), "error": None}
    try:
        pack = Pack.open(folder, verify=False)
        checked = pack.bytes <= CHECKED
        pack = Pack.open(folder) if checked else pack
    except (MeshwrightError, OSError) as error:
        return row | {"error": str(error)}
    manifest = pack.manifest
    return row | {
        "name": manifest.name, "version": manifest.version, "recipe": manifest.recipe, "sha256": pack.hash, "bytes": pack.bytes,
        "hashes_checked": checked, "license": manifest.license.id, "commercial_use": manifest.license.commercial_use,
        "notes": list(manifest.license.notes), "sources": [source.describe() for source in dict.fromkeys(manifest.sources)],
        "memory": memory(manifest, available),
        "components": [component_row(manifest, component, onnxruntime) for component in manifest.components.values()]}


def is_bundled(folder: Path) -> bool:
    """Whether the pack came with Meshwright."""
    return folder.resolve().is_relative_to(BUNDLED.resolve())


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


def component_row(manifest: Manifest, component: Component, onnxruntime: Found) -> dict[str, Any]:
    """One component, and what would run it today. backend : None where nothing can."""
    backend, provider, why = choice(component, onnxruntime)
    return {"name": component.name, "kind": component.kind, "bytes": manifest.size(component), "precision": component.precision,
            "compute": component.compute, "parameters": component.parameters, "large": is_large(manifest, component),
            "backend": backend, "provider": provider, "why": why}


def choice(component: Component, onnxruntime: Found) -> tuple[str | None, str | None, str]:
    """(backend, provider, why) of a component without further options: what `generate` does in this release."""
    if not onnxruntime.installed or onnxruntime.broken:
        return None, None, f"only ONNX Runtime runs engines in this release, and it is {'broken' if onnxruntime.installed else 'missing'}"
    why = ["only ONNX Runtime runs engines in this release", _cuda(onnxruntime)]
    if component.compute == "fp16":
        why.append("it calculates in half precision, which is slow on a CPU: export with --precision fp16 for one")
    return "onnxruntime", CPU, "; ".join(why)


def _cuda(onnxruntime: Found) -> str:
    if CUDA not in onnxruntime.providers:
        return "this build of it has no CUDA"
    if onnxruntime.providers[CUDA] is not None:
        return "its CUDA provider does not start here"
    return f"the CPU is the default, and --providers {CUDA},{CPU} runs here too"
