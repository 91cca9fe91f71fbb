"""Takes out of the cache what is of no use on this machine any more."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache as remembered
from pathlib import Path

from ..cache.cache import EngineCache, Entry
from ..cache.key import Key, model_hashes
from ..errors import BackendUnavailable, ModelFileError
from ..machine.hardware import Hardware
from ..machine.products import choose
from .build import BuildRequest
from .builder import NO_TF32, REFIT
from .loader import make_key


def prune(cache: EngineCache, hardware: Hardware, on_wait: Callable[[str], None] = lambda holder: None) -> list[tuple[Path, str]]:
    """Delete engines that are damaged, were built for another GPU or version, or whose model is gone or another one now; and what was
    measured on engines of packs that are gone.

    A machine that sees no GPU keeps the engines of every GPU: it may see one again. Models of engines that fit are read whole.
    Waits for a build that is under way; on_wait : as `EngineCache.lock`.
    -> each file that was deleted, and why. OutputError if one cannot be, or for a cache that cannot be read.
    """
    if not os.path.isdir(cache.folder):  # not `Path.is_dir`, which raises for one that may not be looked into
        next(cache.entries(), None)  # OutputError for that one
        return []
    gone = []
    with cache.lock(on_wait):
        for path, why in [*_useless(cache, hardware), *((path, "left by a build that was stopped") for path in cache.leftovers()),
                          *((path, "its engine in a pack is gone") for path in cache.orphans())]:
            cache.remove(path)
            gone.append((path, why))
    return gone


def _useless(cache: EngineCache, hardware: Hardware) -> list[tuple[Path, str]]:
    found, hashes = [], remembered(model_hashes)
    for path, entry in cache.files():
        why = _why(entry, hardware, hashes) if isinstance(entry, Entry) else str(entry)
        found += [(path, why)] if why else []
    return found


def _why(entry: Entry, hardware: Hardware, hashes: Callable[[Path], dict[str, str]]) -> str | None:
    """Why an engine is of no use here; None for one that is. hashes : of a model's files, by name"""
    if _is_gone(Path(entry.model)):
        return f"its model {entry.model} is gone"
    differences = list(_differences(entry.key, entry.model, hardware))
    if not differences and _is_another(entry, hashes):
        differences = [f"its model {entry.model} is another one now"]
    return ", ".join(differences) or None


def _is_gone(model: Path) -> bool:
    """Whether there is no such file; one that this user may not see is still there for somebody."""
    try:
        return not model.is_file()
    except OSError:
        return False


def _is_another(entry: Entry, hashes: Callable[[Path], dict[str, str]]) -> bool:
    """Whether the files that the engine was built from have changed since: by a new version of the pack, say."""
    try:
        here = hashes(Path(entry.model))
    except ModelFileError:  # what cannot be read now says nothing
        return False
    return any(here.get(name, digest) != digest for name, digest in entry.key.files.items())


def _differences(key: Key, model: str, hardware: Hardware) -> Iterator[str]:
    """Those that any engine of the product has here. A product that is not installed now may come back with the same version."""
    try:
        product = choose(key.product)
        request = BuildRequest(product, Path(model), {}, refittable=REFIT in key.flags, exact=NO_TF32 in key.flags)
        here = make_key(request, key.files, hardware)
    except BackendUnavailable:
        return
    kept = ("axes",) if hardware.gpus and not product.is_portable else ("axes", "device", "capability")
    yield from Key(**{**vars(here), **{name: getattr(key, name) for name in kept}}).differences(key)
