"""Engines that a pack brings along, in the folder `engines` inside of it, so that they ship with a game.

`engines.json` lists them with the SHA-256 of each file. `pack.json` knows nothing of them: they come and go without changing the pack.
An engine is a program, as a model is, so the list has to be trusted for itself (`files.trust`), by its own hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ..errors import MeshwrightError
from ..files.file_set import staged
from ..files.hashes import FileHashes
from ..files.regular_file import read_regular
from .cache import ENDING, DamagedEngine, Entry, copy_engine, file_name, file_start, read_header

FOLDER, LISTING = "engines", "engines.json"
FORMAT, MAX_LISTING_BYTES = 1, 1 << 20


class ShippedEngines:
    """The engines in a pack's folder, to read. why_not : why none of them is used; None where they are, or there are none"""

    def __init__(self, pack: Path, why_not: str | None = None) -> None:
        self.folder = pack / FOLDER
        self._listed = _read_listing(pack)
        self.why_not = why_not if self._listed else None
        self._usable = why_not is None

    def files(self, name: str) -> Iterator[tuple[Path, Entry | DamagedEngine]]:
        """Those that are called as engines of that name are, without reading more than their headers; for a damaged one, what is wrong
        with it. Of what is not trusted, not even a header is read."""
        for path in (self.folder / each for each in sorted(self._listed)):
            if self._usable and path.name.startswith(file_start(name)):
                try:
                    yield path, read_header(path)
                except DamagedEngine as error:
                    yield path, error

    def check(self, entry: Entry) -> None:
        """Raise DamagedEngine unless the file is the one that was listed, as this or another process has found before."""
        hashes = FileHashes()
        try:
            digest = hashes.of(entry.path)
        except OSError as error:
            raise DamagedEngine(f"{entry.path.name} of the pack cannot be read", received=str(error)) from error
        if digest != self._listed.get(entry.path.name):
            raise DamagedEngine(f"{entry.path.name} of the pack has been modified")
        hashes.keep()


def ship(pack: Path, entries: Iterable[Entry], *, keep: bool = True) -> tuple[list[Path], str]:
    """Copy engines of the cache into a pack's folder, in place of those of the same names and products that are there.

    keep : whether other engines that are there stay, which is for those that are trusted: the new list will be
    -> the engines' files, and the SHA-256 of the list, for `trust`. What is there stays as it was if this fails (OSError).
    """
    folder, engines = pack / FOLDER, {file_name(entry.name, entry.key): entry for entry in entries}
    replaced = {(entry.name, entry.key.product, entry.key.capability, entry.key.device) for entry in engines.values()}
    there = _read_listing(pack)
    kept = {name: digest for name, digest in there.items() if keep and name not in engines and _stays(folder / name, replaced)}
    old = [folder / name for name in there if name not in kept and name not in engines and (folder / name).exists()]
    with staged([folder / LISTING, *(folder / name for name in engines)], old) as (listing, *places):
        listed = dict(kept)
        for (name, entry), place in zip(engines.items(), places, strict=True):
            copy_engine(entry, place)
            with place.open("rb") as file:
                listed[name] = hashlib.file_digest(file, "sha256").hexdigest()
        text = json.dumps({"format": FORMAT, "engines": dict(sorted(listed.items()))}, indent=1).encode() + b"\n"
        listing.write_bytes(text)
    return [folder / name for name in engines], hashlib.sha256(text).hexdigest()


def listing_hash(pack: Path) -> str | None:
    """SHA-256 of the list of a pack's engines; None for a pack without."""
    data = _read(pack)
    return None if data is None else hashlib.sha256(data).hexdigest()


def _stays(path: Path, replaced: set[tuple[str, str, str, str]]) -> bool:
    try:
        entry = read_header(path)
    except DamagedEngine:
        return False
    return (entry.name, entry.key.product, entry.key.capability, entry.key.device) not in replaced


def _read(pack: Path) -> bytes | None:
    with suppress(MeshwrightError, OSError):
        return read_regular(pack / FOLDER / LISTING, LISTING, DamagedEngine, max_bytes=MAX_LISTING_BYTES)
    return None


def _read_listing(pack: Path) -> dict[str, str]:
    """SHA-256 of each engine's file by its name; nothing from a list that is missing, damaged or of another format."""
    try:
        document = json.loads(_read(pack) or b"{}")
        if document.get("format") != FORMAT:
            return {}
        listed = document["engines"].items()
    except (ValueError, KeyError, AttributeError, RecursionError):
        return {}
    return {name: digest for name, digest in listed if Path(name).name == name and name.endswith(ENDING) and _is_inside(pack, name)}


def _is_inside(pack: Path, name: str) -> bool:
    """Not a link to somewhere else."""
    with suppress(OSError, RuntimeError, ValueError):
        return (pack / FOLDER / name).resolve().is_relative_to(pack.resolve())
    return False
