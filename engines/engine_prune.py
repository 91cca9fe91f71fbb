"""Takes out of the cache what is of no use on this machine any more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .engine_cache import EngineCache, Entry
from .engine_key import Key, make_key
from .errors import BackendUnavailable
from .hardware import Hardware
from .tensorrt_build import Order
from .tensorrt_builder import REFIT
from .tensorrt_products import choose


def prune(cache: EngineCache, hardware: Hardware) -> list[tuple[Path, str]]:
    """Delete engines that are damaged, were built for another GPU, driver or version, or whose model is gone.

    Waits for a build that is under way. -> each file that was deleted, and why. OutputError if one cannot be.
    """
    if not cache.folder.is_dir():
        return []
    gone = []
    with cache.lock(lambda holder: None):
        for path, why in [*_useless(cache, hardware), *((path, "left by a build that was stopped") for path in cache.leftovers())]:
            cache.remove(path)
            gone.append((path, why))
    return gone


def _useless(cache: EngineCache, hardware: Hardware) -> list[tuple[Path, str]]:
    found = []
    for path, entry in cache.files():
        why = _why(entry, hardware) if isinstance(entry, Entry) else str(entry)
        found += [(path, why)] if why else []
    return found


def _why(entry: Entry, hardware: Hardware) -> str | None:
    """Why an engine is of no use here; None for one that is."""
    if not Path(entry.model).is_file():
        return f"its model {entry.model} is gone"
    differences = list(_differences(entry.key, entry.model, hardware))
    return ", ".join(differences) or None


def _differences(key: Key, model: str, hardware: Hardware) -> Iterator[str]:
    """Those that any engine of the product has here. A product that is not installed now may come back with the same version."""
    try:
        here = make_key(Order(choose(key.product), Path(model), {}, refittable=REFIT in key.flags), key.files, hardware)
    except BackendUnavailable:
        return
    yield from Key(**{**vars(here), "axes": key.axes}).differences(key)
