"""An engine from the cache, or a new one where there is none that fits."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..cache.cache import DamagedEngine, EngineCache, Entry
from ..cache.key import NONE, Key
from ..machine.hardware import Hardware
from ..onnxruntime.weights import file_bytes
from .build import BuildRequest, build_to


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
    """Finds and builds engines for one machine in one cache."""

    def __init__(self, cache: EngineCache, hardware: Hardware) -> None:
        self.cache, self.hardware = cache, hardware

    def load(self, name: str, order: BuildRequest, files: Mapping[str, str], tell: BuildCallbacks,
             most: int | None = None) -> tuple[Entry, bool]:
        """The engine, and whether it was built just now.

        name : such as "props/refiner_step"; files : SHA-256 of the model's files by name
        most : engines of that name that are kept, those used last; None for all
        What `tell.progress` raises ends the build, or the waiting for another one.
        Raises as `build_to` and `EngineCache.store`; the cache is then as it was.
        """
        key = make_key(order, files, self.hardware)
        entry, why = self._find(name, key)
        if entry is not None:
            return entry, False
        with self.cache.lock(lambda holder: tell.note(f"waiting for {holder}, which builds into {self.cache.folder}"),
                             lambda: tell.progress(0.0)) as lock:
            entry, why = self._find(name, key)  # the one who was waited for may have built it
            if entry is not None:
                return entry, False
            self.cache.sweep()
            if why is not None:
                tell.note(f"{name}: {why}; it is built again")
            tell.start(self.estimate(order))
            entry = self.cache.store(name, key, order.model, lambda out: _timed(order, out, tell, lock))
            if most is not None:
                self.cache.thin_out(name, most)
            return entry, True

    def find(self, name: str, order: BuildRequest, files: Mapping[str, str], *, check: bool = True) -> tuple[Entry | None, str | None]:
        """The engine, if there is one that fits; where there is one that does not, what is wrong with it.

        name, order, files : as `load`; check : as `EngineCache.find`
        """
        return self._find(name, make_key(order, files, self.hardware), check=check)

    def estimate(self, order: BuildRequest) -> float | None:
        """Seconds that a build will take, by those of this product that are in the cache; None if there are none.

        The same component of an older pack or version counts alone; others by the size of their engines, which are
        about as large as their models.
        """
        past = [entry for entry in self.cache.entries() if isinstance(entry, Entry) and entry.key.product == order.product.name]
        same = [entry.seconds for entry in past if Path(entry.model).name == order.model.name]
        if same:
            return same[-1]
        total = sum(entry.bytes for entry in past)
        return file_bytes(order.model) * sum(entry.seconds for entry in past) / total if total else None

    def _find(self, name: str, key: Key, *, check: bool = True) -> tuple[Entry | None, str | None]:
        """The engine of that key; where there is none, why one that is there cannot be used."""
        try:
            entry = self.cache.find(name, key, check=check)
        except DamagedEngine as error:
            return None, str(error)
        return entry, None if entry else self._outdated(name, key)

    def _outdated(self, name: str, key: Key) -> str | None:
        """What is different about the engine of that name that is most like this one, if there is any."""
        differences = [key.differences(entry.key) for entry in self.cache.entries()
                  if isinstance(entry, Entry) and entry.name == name and entry.key.product == key.product]
        if not differences:
            return None
        fewest = min(differences, key=len)
        return f"the engine in the cache does not fit: {', '.join(fewest)}"


def _timed(order: BuildRequest, out: Path, tell: BuildCallbacks, lock: int) -> float:
    started = time.perf_counter()
    build_to(order, out, tell.progress, lock)
    return time.perf_counter() - started


def make_key(order: BuildRequest, files: Mapping[str, str], hardware: Hardware) -> Key:
    """The key of an engine for this machine's first GPU. files : as `Key`."""
    gpu = hardware.gpus[0] if hardware.gpus else None
    return Key(dict(files), order.product.name, order.product.version(), gpu and gpu.name or NONE, gpu and gpu.compute_capability or NONE,
               hardware.driver or NONE, f"{platform.system()} {platform.machine()}",
               {name: str(each) for name, each in sorted(order.axes.items())}, order.flags)
