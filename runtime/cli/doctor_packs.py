"""The doctor's view of one pack: whether it is whole, what would run each component, and whether the memory is enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ...engines.errors import MeshwrightError
from ...engines.machine.hardware import Hardware
from ...engines.machine.packages import Found
from ..backends.candidates import CPU, CUDA, Candidate, Machine
from ..backends.memory_needs import advice, is_large, largest_file, needs
from ..backends.selector import BackendSelector
from ..pack.manifest import Component, Manifest
from ..pack.pack import BUNDLED, Pack, is_bundled

# Of larger packs the hashes are left to `meshwright verify`: reading gigabytes would take longer than all the rest.
CHECKED = 256 << 20


def pack_row(folder: Path, onnxruntime: Found, machine: Machine) -> dict[str, Any]:
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
        "memory": memory(manifest, machine.hardware.host.available_bytes),
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


def component_row(manifest: Manifest, component: Component, onnxruntime: Found, selector: BackendSelector) -> dict[str, Any]:
    """One component, and what would run it today. backend : None where nothing can. engine : TensorRT's, if one fits."""
    candidate, why = choice(component, onnxruntime, selector)
    return {"name": component.name, "kind": component.kind, "bytes": manifest.size(component), "precision": component.precision,
            "compute": component.compute, "parameters": component.parameters, "large": is_large(manifest, component),
            "backend": candidate and candidate.backend, "why": why,
            "provider": candidate.providers[0] if candidate and candidate.providers else None,
            "engine": engine_row(candidate, selector) if candidate and candidate.entry else None}


def choice(component: Component, onnxruntime: Found, selector: BackendSelector) -> tuple[Candidate | None, str]:
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
    why += [selector.how_to_build(each.backend) for each in rejected if each.cause == "unbuilt"][:1]
    if component.compute == "fp16" and candidate.providers[:1] == (CPU,):
        why.append("it calculates in half precision, which is slow on a CPU: export with --precision fp16 for one")
    return candidate, "; ".join(why) or "it is the best of what is installed"


def engine_row(candidate: Candidate, selector: BackendSelector) -> dict[str, Any]:
    """A built engine, what the golden inputs said of it, and which of its loops run as one CUDA graph."""
    entry, golden_result = candidate.entry, candidate.golden_result
    assert entry is not None  # it is a built one
    return {"file": entry.path.name, "version": entry.key.version, "bytes": entry.bytes, "build_seconds": entry.seconds,
            "golden": golden_result and {"relative": golden_result.relative, "tolerance": golden_result.tolerance},
            "loops": {loop: asdict(each) for loop, each in selector.engines.record(entry).loops().items()}}


def machine_of(hardware: Hardware, founds: Mapping[str, Found]) -> Machine:
    """The machine as `BackendSelector` sees it, with what the trials of the packages have shown besides."""
    machine = Machine.of(hardware)
    tried = {product: why or founds[product.module].broken or founds[product.module].idle for product, why in machine.products.items()}
    return replace(machine, products=tried, cuda=machine.cuda or _cuda(founds["onnxruntime"]))


def _cuda(onnxruntime: Found) -> str | None:
    if CUDA not in onnxruntime.providers:
        return "this build of it has no CUDA"
    return None if onnxruntime.providers[CUDA] is None else "its CUDA provider does not start here"
