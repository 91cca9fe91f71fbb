"""Writes packs: exports every component, checks each against PyTorch, and puts a finished folder in place.

    write_pack("packs/props", components, {"name": "props", ...}, {"tokenizer.json": "model/tokenizer.json"})

`components` come from the modules of `export.components`. The third argument holds the rest of pack.json
(see MANIFEST_KEYS); "format", "files", "components" and, unless given, "exporter" are filled in here. The
last one names the files to copy into the pack.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..engines import open_engine
from ..engines.errors import ExportError
from . import parity
from .onnx_file import write_onnx
from .spec import ComponentSpec

FORMAT = 1
MANIFEST_KEYS = ("name", "version", "recipe", "license", "sources", "text", "prior", "refiner", "coarse", "views",
                 "reconstructor", "grid", "texture_from", "metres_per_unit")
OnComponent = Callable[[str, int, int], None]


def write_pack(path: str | os.PathLike[str], components: Sequence[ComponentSpec], manifest: Mapping[str, Any],
               files: Mapping[str, str | os.PathLike[str]], *, seed: int = 0, check_parity: bool = True,
               on_component: OnComponent | None = None) -> dict[str, Any]:
    """Write the folder `path`, replacing a pack that is there; nothing is left behind on failure.

    files : name in the pack -> file to copy, such as {"tokenizer.json": ".../tokenizer.json"}
    seed : of the random inputs of the parity check and of golden.npz
    on_component : called with a component's kind, its number from 1 and their count, before it is exported
    Returns pack.json as a dict, with the measured errors.
    Errors: ExportError that lists every component which could not be exported or differs too much.
    """
    _check(components, manifest, files)
    with _folder(Path(path)) as folder:
        entries = _write_components(folder, components, seed, check_parity, on_component or _ignore)
        np.savez_compressed(folder / "golden.npz", **_golden(components, seed))
        for name, source in files.items():
            shutil.copyfile(source, folder / name)
        document = {"format": FORMAT, "exporter": exporter(), **manifest, "files": _hashes(folder), "components": entries}
        (folder / "pack.json").write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", "utf-8")
    return document


def _check(components: Sequence[ComponentSpec], manifest: Mapping[str, Any],
           files: Mapping[str, str | os.PathLike[str]]) -> None:
    """Refuse what would fail after minutes of exporting."""
    missing = [key for key in MANIFEST_KEYS if key not in manifest]
    if missing:
        raise ExportError("the pack's manifest lacks entries", expected=", ".join(missing))
    absent = [str(source) for source in files.values() if not Path(source).is_file()]
    if absent:
        raise ExportError("a file of the pack is missing", received=", ".join(absent))
    doubled = [kind for kind, count in Counter(spec.kind for spec in components).items() if count > 1]
    if doubled:
        raise ExportError("a component is given more than once", received=", ".join(doubled))


def exporter() -> str:
    """Who made the pack: the versions of Meshwright and PyTorch."""
    try:
        own = version("meshwright")
    except PackageNotFoundError:
        own = "from source"
    return f"meshwright {own}, torch {torch.__version__}"


def _write_components(folder: Path, components: Sequence[ComponentSpec], seed: int, check_parity: bool,
                      on_component: OnComponent) -> dict[str, Any]:
    """Export and check them all, then raise what went wrong with any."""
    entries, problems = {}, []
    for number, spec in enumerate(components, 1):
        on_component(spec.kind, number, len(components))
        path = folder / spec.file
        try:
            write_onnx(spec, path)
        except ExportError as error:
            problems.append(str(error))
            continue
        error, problem = parity.check(spec, path, _random(seed, spec, "parity")) if check_parity else (None, None)
        problems += [problem] if problem else []
        entries[spec.kind] = None if problem else _entry(spec, path, error)
    if problems:
        raise ExportError(f"{len(problems)} of {len(components)} components failed", received=" | ".join(problems))
    return entries


def _entry(spec: ComponentSpec, path: Path, error: parity.Error | None) -> dict[str, Any]:
    """What pack.json says of a component; its tensors are read back from the file."""
    with open_engine(path, backend="null") as engine:
        inputs, outputs = ([{"name": t.name, "dtype": t.dtype, "shape": list(t.shape)} for t in tensors]
                           for tensors in (engine.spec.inputs, engine.spec.outputs))
    return {"kind": spec.kind, "file": path.name, "precision": spec.precision.weights,
            "compute": spec.precision.compute, "inputs": inputs, "outputs": outputs, "tolerance": spec.limit,
            "error": {"abs": error.abs, "rel": error.rel} if error else {}, "parameters": parameters(path)}


def parameters(path: Path) -> int:
    """How many numbers the weights in an ONNX file hold."""
    import onnx_ir as ir

    return sum(value.const_value.size for value in ir.load(path).graph.initializers.values())


def _golden(components: Sequence[ComponentSpec], seed: int) -> dict[str, np.ndarray]:
    tensors: dict[str, np.ndarray] = {}
    for spec in components:
        tensors |= parity.golden(spec, _random(seed, spec, "golden"))
    return tensors


def _random(seed: int, spec: ComponentSpec, use: str) -> np.random.Generator:
    """A generator of the component's own, whatever else is in the pack."""
    return np.random.default_rng([seed, *f"{spec.kind}/{use}".encode()])


def _hashes(folder: Path) -> dict[str, Any]:
    found = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as stream:
            found[path.name] = {"sha256": hashlib.file_digest(stream, "sha256").hexdigest(), "bytes": path.stat().st_size}
    return found


@contextmanager
def _folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, which takes its place at the end of a block that did not fail."""
    if target.exists() and not (target / "pack.json").is_file():
        raise ExportError(f"{target} is in the way", expected="an old pack, or nothing")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", suffix=".part", dir=target.parent))
    except OSError as error:
        raise ExportError(f"the pack {target} cannot be written", received=str(error)) from error
    try:
        yield folder
        folder.chmod(0o755)
        _replace(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _replace(folder: Path, target: Path) -> None:
    """Folders cannot be swapped in one call: the old one steps aside, and comes back if the new one cannot take over."""
    if not target.exists():
        folder.rename(target)
        return
    old = folder.with_suffix(".old")
    target.rename(old)
    try:
        folder.rename(target)
    except OSError:
        with suppress(OSError):
            old.rename(target)
        raise
    shutil.rmtree(old)


def _ignore(kind: str, number: int, count: int) -> None:
    pass
