"""An engine from the cache, or a new one where there is none that fits."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..cache.cache import DamagedEngine, EngineCache, Entry, file_name
from ..cache.key import ANY, NONE, Key
from ..cache.shipped import ShippedEngines
from ..machine.hardware import Hardware
from ..onnxruntime.weights import file_bytes
from .build import MIN_DEFAULT_CAPABILITY, BuildRequest, build_to

# What TensorRT-RTX builds engines for unless it is told otherwise.
BY_DEFAULT = f"{MIN_DEFAULT_CAPABILITY} and later"


@dataclass(frozen=True)
class BuildCallbacks:
    """Where a build says what it does.

    note : of something that the user should know, such as why an engine is built again
    start : with the estimated seconds of a build that begins, None if nothing like it was built before
    progress : with the share that is done, in [0, 1]
    """

    note: Callable[[str], None]
    start: Callable[[float | None], None]
    progress: Callable[[float], None]


class EngineLoader:
    """Finds engines for one machine, in a pack that ships some and in the cache, and builds them into the cache."""

    def __init__(self, cache: EngineCache, hardware: Hardware, shipped: ShippedEngines | None = None) -> None:
        self.cache, self.hardware, self.shipped = cache, hardware, shipped

    def load(self, name: str, request: BuildRequest, files: Mapping[str, str], callbacks: BuildCallbacks,
             keep: int | None = None, shipped: bool = True) -> tuple[Entry, bool]:
        """The engine, and whether it was built just now.

        name : such as "props/refiner_step"; files : SHA-256 of the model's files by name
        keep : how many engines of that name to keep, those used last; None for all
        shipped : whether one that the pack ships will do
        What `callbacks.progress` raises ends the build, or the waiting for another one.
        Raises as `build_to` and `EngineCache.store`; the cache is then as it was.
        """
        key = make_key(request, files, self.hardware)
        entry, why = self._built(name, key, shipped)
        if entry is not None:
            return entry, False
        with self.cache.lock(lambda holder: callbacks.note(f"waiting for {holder}, which builds into {self.cache.folder}"),
                             lambda: callbacks.progress(0.0)) as lock:
            entry, why = self._built(name, key, shipped)  # the one who was waited for may have built it
            if entry is not None:
                return entry, False
            self.cache.sweep()
            if why is not None:
                callbacks.note(f"{name}: {why}; it is rebuilt")
            callbacks.start(self.estimate(request))
            entry = self.cache.store(name, key, request.model, lambda out: _timed(request, out, callbacks, lock))
            if keep is not None:
                self.cache.keep_newest(name, keep)
            return entry, True

    def find(self, name: str, key: Key, check: Callable[[Entry], bool] = lambda entry: True,
             shipped: bool = True) -> tuple[list[Entry], str | None]:
        """The engines that may serve for a key, best first, and why others do not.

        Those that the pack ships come before those of the cache, and in each place those of the very key before portable ones that were
        built for other compute capabilities. Whether a portable one is valid here, the product says when it is loaded.
        name, shipped : as `load`
        check : whether an engine's bytes are to be compared with its hash, which takes long for a large one
        """
        places: list[ShippedEngines | EngineCache] = [self.cache]
        found: list[Entry] = []
        reasons: list[str | None] = []
        if shipped and self.shipped is not None:
            places, reasons = [self.shipped, self.cache], [self.shipped.why_not]
        for place in places:
            there = list(place.files(name))
            reasons += [str(error) for path, error in there if isinstance(error, DamagedEngine) and path.name == file_name(name, key)]
            fitting = [entry for _, entry in there if isinstance(entry, Entry) and entry.name == name and key.accepts(entry.key)]
            for entry in sorted(fitting, key=lambda entry: entry.key != key):
                try:
                    if check(entry):
                        place.check(entry)
                    found.append(entry)
                except DamagedEngine as error:
                    reasons.append(str(error))
        if not found and not any(reasons):
            reasons = [self._outdated(name, key)]
        return found, "; ".join(filter(None, reasons)) or None

    def estimate(self, request: BuildRequest) -> float | None:
        """Seconds that a build will take, by those of this product that are in the cache; None if there are none.

        The same component of an older pack or version counts alone; others by the size of their engines, which are
        about as large as their models.
        """
        past = [entry for entry in self.cache.entries() if isinstance(entry, Entry) and entry.key.product == request.product.name]
        same = [entry.seconds for entry in past if Path(entry.model).name == request.model.name]
        if same:
            return same[-1]
        total = sum(entry.bytes for entry in past)
        return file_bytes(request.model) * sum(entry.seconds for entry in past) / total if total else None

    def _built(self, name: str, key: Key, shipped: bool) -> tuple[Entry | None, str | None]:
        """The engine of that very key; where there is none, why one that is there cannot be used."""
        found, why = self.find(name, key, lambda entry: entry.key == key, shipped)
        return next((entry for entry in found if entry.key == key), None), why

    def _outdated(self, name: str, key: Key) -> str | None:
        """What is different about the engine of that name that is most like this one, if there is any."""
        differences = [key.differences(entry.key) for _, entry in self.cache.files(name)
                  if isinstance(entry, Entry) and entry.name == name and entry.key.product == key.product]
        if not differences:
            return None
        fewest = min(differences, key=len)
        return f"the engine in the cache does not fit: {', '.join(fewest)}"


def _timed(request: BuildRequest, out: Path, callbacks: BuildCallbacks, lock: int) -> float:
    started = time.perf_counter()
    build_to(request, out, callbacks.progress, lock)
    return time.perf_counter() - started


def make_key(request: BuildRequest, files: Mapping[str, str], hardware: Hardware) -> Key:
    """The key of an engine that is built on this machine, for its first GPU where the product's engines are not portable.

    files : as `Key`
    """
    gpu = hardware.gpus[0] if hardware.gpus else None
    device, capability = gpu and gpu.name or NONE, gpu and gpu.compute_capability or NONE
    system = f"{platform.system()} {platform.machine()}"
    if request.product.is_portable:
        device, capability, system = ANY, " ".join(sorted(request.capabilities, key=float)) or BY_DEFAULT, ANY
    return Key(dict(files), request.product.name, request.product.version(), device, capability, system,
               {name: str(each) for name, each in sorted(request.axes.items())}, request.flags)
