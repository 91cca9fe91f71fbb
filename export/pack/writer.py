"""Writes packs: exports every component, checks each against PyTorch, and puts a finished folder in place.

    write_pack("packs/props", components, {"name": "props", ...}, {"tokenizer.json": "model/tokenizer.json"})

`components` come from the modules of `export.components`; a generator that builds each one when it is asked for
keeps one network in memory at a time. The third argument holds the rest of pack.json (see MANIFEST_KEYS); "format",
"files", "components" and, unless given, "exporter" are filled in here. The last one names the files to copy into the
pack.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import torch

from ...engines.errors import ExportError, ModelFileError
from ...engines.files.trust import EXPORTED, trust
from ...engines.machine.memory import peak_bytes, reset_peak
from ...engines.onnxruntime.onnx_check import check_model
from ..onnx.onnx_file import MAX_FILE_BYTES, write_onnx
from ..onnx.release import release
from ..spec import ComponentSpec, Precision
from . import parity
from .events import ComponentDone, ComponentStarted, Event
from .folder import new_folder

FORMAT = 1
# Every pack says these; what else its recipe needs is added by whoever calls.
MANIFEST_KEYS = ("name", "version", "recipe", "license", "sources", "views", "reconstructor", "grid", "texture_from",
                 "metres_per_unit")
RECIPE_KEYS = {"sharp-it": ("text", "prior", "refiner", "coarse"), "instantmesh": ("multiview", "picture"),
               "one-2-3-45": ("multiview", "picture", "occupancy", "sparse", "voxels"),
               "dmv3d": ("text", "posed_views", "circle")}
OnComponent = Callable[[Event], None]


def write_pack(path: str | os.PathLike[str], components: Iterable[ComponentSpec], manifest: Mapping[str, Any],
               files: Mapping[str, str | os.PathLike[str]], *, seed: int = 0, check_parity: bool = True,
               on_component: OnComponent | None = None, largest_file: int = MAX_FILE_BYTES) -> dict[str, Any]:
    """Write the folder `path`, replacing a pack that is there; nothing is left behind on failure. This user then trusts the pack.

    files : name in the pack -> file to copy, such as {"tokenizer.json": ".../tokenizer.json"}
    seed : of the random inputs of the parity check and of golden.npz
    on_component : called with a ComponentStarted and a ComponentDone for each; what it raises ends the export
    largest_file : weights of more bytes lie beside their graph
    Returns pack.json as a dict, with the measured errors.
    Errors: ExportError that lists every component which could not be exported or differs too much; or a full disk.
    """
    _check(components, manifest, files)
    with new_folder(Path(path)) as folder:
        entries = _Components(folder, seed, check_parity, on_component or _ignore, largest_file).write(components)
        for name, source in files.items():
            shutil.copyfile(source, folder / name)
        document = {"format": FORMAT, "exporter": exporter(), **manifest, "files": hashes(folder), "components": entries}
        text = (json.dumps(document, indent=1, allow_nan=False) + "\n").encode()
        (folder / "pack.json").write_bytes(text)
    trust(Path(path), hashlib.sha256(text).hexdigest(), EXPORTED)
    return document


def extend_pack(path: str | os.PathLike[str], components: Iterable[ComponentSpec], manifest: Mapping[str, Any], *,
                seed: int = 0, on_component: OnComponent | None = None) -> dict[str, Any]:
    """Add components and entries of pack.json to the pack in the folder `path`; those of the same names are replaced, all else stays.

    Seed, events, result and errors as of `write_pack`; if this fails, the pack is as it was.
    """
    old = json.loads((Path(path) / "pack.json").read_bytes())
    with new_folder(Path(path)) as folder:
        entries = _Components(folder, seed, True, on_component or _ignore, MAX_FILE_BYTES).write(components)
        with np.load(Path(path) / "golden.npz") as golden, np.load(folder / "golden.npz") as added:
            kept = {name: golden[name] for name in golden.files if name.split("/")[0] not in entries}
            together = {**kept, **added}
        np.savez_compressed(folder / "golden.npz", **together)
        for name in old["files"].keys() - {each.name for each in folder.iterdir()}:
            shutil.copyfile(Path(path) / name, folder / name)
        document = {**old, **manifest, "files": hashes(folder), "components": {**old["components"], **entries}}
        text = (json.dumps(document, indent=1, allow_nan=False) + "\n").encode()
        (folder / "pack.json").write_bytes(text)
    trust(Path(path), hashlib.sha256(text).hexdigest(), EXPORTED)
    return document


def _check(components: Iterable[ComponentSpec], manifest: Mapping[str, Any],
           files: Mapping[str, str | os.PathLike[str]]) -> None:
    """Refuse what would fail after minutes of exporting."""
    needed = [*MANIFEST_KEYS, *RECIPE_KEYS.get(manifest.get("recipe", ""), ())]
    missing = [key for key in needed if key not in manifest]
    if missing:
        raise ExportError("the pack's manifest lacks entries", expected=", ".join(missing))
    try:
        json.dumps(dict(manifest), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ExportError("the pack's manifest is not JSON", received=str(error)) from error
    absent = [str(source) for source in files.values() if not Path(source).is_file()]
    if absent:
        raise ExportError("a file of the pack is missing", received=", ".join(absent))
    if isinstance(components, Sequence):
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


@dataclass(frozen=True)
class _Written:
    """A component as a file, with the numbers that the file must reproduce; its network is not needed any more."""

    kind: str
    path: Path
    precision: Precision
    trials: parity.Trials
    golden: parity.Tensors


class _Components:
    """The components of one pack on their way into its folder."""

    def __init__(self, folder: Path, seed: int, check_parity: bool, tell: OnComponent,
                 largest_file: int) -> None:
        self._folder, self._seed, self._check_parity, self._tell = folder, seed, check_parity, tell
        self._largest_file = largest_file
        self._entries: dict[str, Any] = {}
        self._golden: dict[str, Any] = {}
        self._problems: list[str] = []

    def write(self, components: Iterable[ComponentSpec]) -> dict[str, Any]:
        """Export and check them all, then raise what went wrong with any. Returns their entries in pack.json."""
        count = len(components) if isinstance(components, Sized) else None
        specs, number = iter(components), 0
        while self._next(specs, number + 1, count):
            number += 1
        if self._problems:
            raise ExportError(f"{len(self._problems)} of {number} components failed", received=" | ".join(self._problems))
        np.savez_compressed(self._folder / "golden.npz", **self._golden)
        return self._entries

    def _next(self, specs: Iterator[ComponentSpec], number: int, count: int | None) -> bool:
        """Take one component from `specs` to its end; False if there is none left."""
        reset_peak()
        started = time.perf_counter()
        spec = next(specs, None)
        if spec is None:
            return False
        kind = spec.kind
        if kind in self._entries:
            raise ExportError("a component is given more than once", received=kind)
        self._tell(ComponentStarted(kind, number, count))
        try:
            written = self._export(spec)
        except ExportError as error:
            self._problems.append(str(error))
            self._entries[kind] = None
            return True
        del spec
        release()
        measured = self._compare(written)
        size = sum(path.stat().st_size for path in self._folder.glob(f"{written.path.name}*"))
        self._tell(ComponentDone(kind, number, count, self._entries[kind]["parameters"], size, time.perf_counter() - started,
                                 measured, peak_bytes()))
        return True

    def _export(self, spec: ComponentSpec) -> _Written:
        path = self._folder / spec.file
        write_onnx(spec, path, largest_file=self._largest_file)
        _check_written(path)
        trials = (parity.trials(spec, self._random(spec, "parity")) if self._check_parity
                  else parity.Trials(spec.kind, spec.limit, ()))
        return _Written(spec.kind, path, spec.precision, trials, parity.golden(spec, self._random(spec, "golden"), trials))

    def _compare(self, written: _Written) -> parity.Error | None:
        """Run the file on what the network answered; note its entry, its golden tensors and what is wrong with it."""
        found = written.trials.compare(written.path)
        self._problems += [found.problem] if found.problem else []
        self._golden |= written.golden
        self._entries[written.kind] = _entry(written, found)
        return found.error

    def _random(self, spec: ComponentSpec, use: str) -> np.random.Generator:
        """A generator of the component's own, whatever else is in the pack."""
        return np.random.default_rng([self._seed, *f"{spec.kind}/{use}".encode()])


def _entry(written: _Written, found: parity.Comparison) -> dict[str, Any]:
    """What pack.json says of a component; its tensors are those that the file was found to have."""
    inputs, outputs = ([{"name": t.name, "dtype": t.dtype, "shape": list(t.shape)} for t in side]
                       for side in ((found.spec.inputs, found.spec.outputs) if found.spec else ((), ())))
    precision, error = written.precision, found.error
    errors = {case: {"abs": each.abs, "rel": each.rel} for case, each in found.errors.items()}
    return {"kind": written.kind, "file": written.path.name, "precision": precision.weights, "compute": precision.compute,
            "inputs": inputs, "outputs": outputs, "tolerance": written.trials.limit,
            "error": {"abs": error.abs, "rel": error.rel} if error else {}, "errors": errors,
            "parameters": parameters(written.path)}


def _check_written(path: Path) -> None:
    """The runtime refuses models of other operators: not only there."""
    try:
        check_model(path, [each.name for each in path.parent.glob(f"{path.name}.*")])
    except ModelFileError as error:
        raise ExportError(f"{path.name} would be refused when the pack is opened", received=error.received,
                          expected=error.expected) from error


def parameters(path: Path) -> int:
    """How many numbers the weights in an ONNX file hold."""
    return sum(value.const_value.size for value in ir.load(path).graph.initializers.values() if value.const_value is not None)


def hashes(folder: Path) -> dict[str, Any]:
    """"files" of pack.json: of each file in a pack's folder."""
    found = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as stream:
            found[path.name] = {"sha256": hashlib.file_digest(stream, "sha256").hexdigest(), "bytes": path.stat().st_size}
    return found


def _ignore(event: Event) -> None:
    pass
