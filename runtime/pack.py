"""Packs: folders with a `pack.json`, found by name or path, and trusted only once every hash fits."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..engines.errors import PackCorrupt, PackError, PackFormat, PackNotFound
from .manifest import Component, FileEntry, Manifest
from .manifest_reader import parse_manifest

BUNDLED = Path(__file__).parent / "packs"
VARIABLE = "MESHWRIGHT_PACKS"
MANIFEST = "pack.json"
# A manifest is some kilobytes; a file of this name that is larger is something else.
LONGEST_MANIFEST = 4 << 20


@dataclass(frozen=True)
class Pack:
    """A pack on this machine. hash : SHA-256 of `pack.json`, which holds the hashes of all the other files."""

    folder: Path
    manifest: Manifest
    hash: str

    @classmethod
    def open(cls, name_or_path: str | os.PathLike[str], *, verify: bool = True) -> Pack:
        """Find a pack and check each of its files against its hash.

        verify : False skips the hashes (only sizes and paths are checked), for a listing.
        Errors: PackNotFound, PackFormat, and PackCorrupt, which names the file and both hashes.
        """
        folder = find(name_or_path)
        data = _read_manifest(folder)
        pack = cls(folder, parse_manifest(data), hashlib.sha256(data).hexdigest())
        for name, entry in pack.manifest.files.items():
            pack._check(name, entry, verify)
        return pack

    def component(self, kind: str) -> Component:
        """The component of that kind; PackError if the pack has none."""
        found = self.manifest.find(kind)
        if found is None:
            raise PackError(f"pack {self.manifest.name} lacks a component", expected=kind)
        return found

    def require_commercial_use(self) -> None:
        """Raise PackError unless the licence of the weights allows commercial use."""
        licence = self.manifest.license
        if licence.commercial_use != "yes":
            raise PackError(f"pack {self.manifest.name} is not cleared for commercial use",
                            received=f"licence {licence.id}, commercial use: {licence.commercial_use}",
                            expected="a licence that allows it", remedy="choose another pack; meshwright packs lists them")

    def path(self, name: str) -> Path:
        """Where a listed file lies."""
        return self.folder / name

    @cached_property
    def bytes(self) -> int:
        """Size of all listed files, in bytes."""
        return sum(entry.bytes for entry in self.manifest.files.values())

    def _check(self, name: str, entry: FileEntry, verify: bool) -> None:
        path = self.path(name)
        if not path.is_file():
            raise PackCorrupt(f"{name} is missing from pack {self.folder}", expected=f"sha256 {entry.sha256}",
                              remedy="install the pack again")
        _check_inside(path, self.folder)
        size = path.stat().st_size
        if size != entry.bytes:
            raise PackCorrupt(f"{name} of pack {self.folder} has another size than pack.json says",
                              received=f"{size} bytes", expected=f"{entry.bytes} bytes, sha256 {entry.sha256}",
                              remedy="install the pack again")
        if verify and (digest := file_hash(path)) != entry.sha256:
            raise PackCorrupt(f"{name} of pack {self.folder} was altered", received=f"sha256 {digest}",
                              expected=f"sha256 {entry.sha256}", remedy="install the pack again")


def find(name_or_path: str | os.PathLike[str]) -> Path:
    """The folder of a pack. A plain name is looked up in $MESHWRIGHT_PACKS, then among the bundled packs,
    then as a folder here; anything with a separator is a path."""
    text = os.fspath(name_or_path)
    if not text or "\0" in text:
        raise PackNotFound("that is no name of a pack", received=repr(text))
    if not isinstance(name_or_path, Path) and Path(text).name == text:
        for folder in candidates():
            if folder.name == text:
                return folder
    folder = Path(text)
    if _is_pack(folder):
        return folder
    known = ", ".join(sorted({folder.name for folder in candidates()})) or "none"
    raise PackNotFound("there is no such pack", received=text, expected=f"a folder with {MANIFEST}, or one of: {known}",
                       remedy=f"give its path, or set {VARIABLE} to the folder that holds it")


def candidates() -> list[Path]:
    """Every folder with a `pack.json`, but for those closed to the user: of $MESHWRIGHT_PACKS (packs, or folders of packs),
    then the bundled."""
    named = [Path(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    found: list[Path] = []
    for root in [*named, BUNDLED]:
        found += [folder for folder in [root, *_inside(root)] if _is_pack(folder) and folder not in found]
    return found


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _is_pack(folder: Path) -> bool:
    # Unlike Path.is_file, this is False where the folder may not be looked into.
    return os.path.isfile(folder / MANIFEST)


def file_hash(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_manifest(folder: Path) -> bytes:
    path = folder / MANIFEST
    _check_inside(path, folder)
    if path.stat().st_size > LONGEST_MANIFEST:
        raise PackFormat(f"{path} is too long", received=f"{path.stat().st_size} bytes",
                         expected=f"at most {LONGEST_MANIFEST} bytes")
    return path.read_bytes()


def _check_inside(path: Path, folder: Path) -> None:
    """A link may point to another file of the pack, never out of it."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise PackFormat(f"{path.name} of pack {folder} is a link out of the folder", received=str(path.resolve()))
