"""Packs: folders with a `pack.json`, found by name or path, and used only once every hash fits, every model is made of what our
exporter writes, and someone trusts it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from ...engines.cache.shipped import listing_hash
from ...engines.errors import ModelFileError, PackCorrupt, PackError, PackFormat, PackNotFound, PackUntrusted
from ...engines.files.hashes import FileHashes
from ...engines.files.regular_file import read_regular
from ...engines.files.trust import trusted
from ...engines.onnxruntime.onnx_check import check_model
from .manifest import Component, FileEntry, Manifest
from .reader import parse_manifest

BUNDLED = Path(__file__).parents[1] / "packs"
VARIABLE = "MESHWRIGHT_PACKS"
MANIFEST = "pack.json"
# A manifest is some kilobytes; a file of this name that is larger is something else.
MAX_MANIFEST_BYTES = 1 << 20
BUNDLED_REASON, CALLER_REASON = "bundled with meshwright", "by the program that opened it"


@dataclass(frozen=True)
class Pack:
    """A pack on this machine.

    hash : SHA-256 of `pack.json`, which holds the hashes of all files that it lists; engines in the folder have a list of their own
    trusted_by_caller : the program that opened it answers for it
    """

    folder: Path
    manifest: Manifest
    hash: str
    trusted_by_caller: bool = False

    @classmethod
    def open(cls, name_or_path: str | os.PathLike[str], *, verify: bool = True, rehash: bool = False) -> Pack:
        """Find a pack and check each of its files against its hash, and each of its models. None of them is run or loaded.

        verify : False skips hashes and models (only sizes and paths are checked), for a listing.
        rehash : hash every file again, even one that has not changed since it last passed (see `FileHashes`).
        Errors: PackNotFound, PackFormat, and PackCorrupt, which names the file and both hashes.
        """
        folder = find_pack(name_or_path)
        data = _read_manifest(folder)
        pack = cls(folder, parse_manifest(data), hashlib.sha256(data).hexdigest())
        hashes = FileHashes(fresh=rehash) if verify else None
        for name, entry in pack.manifest.files.items():
            pack._check(name, entry, hashes)
        if hashes is not None:
            if not hashes.has_passed(pack.hash):
                pack._check_models()
                hashes.note_passed(pack.hash)
            hashes.keep()
        return pack

    @property
    def trusted(self) -> str | None:
        """Why the pack's models may be run, in words; None where nobody has said so."""
        if is_bundled(self.folder):
            return BUNDLED_REASON
        return CALLER_REASON if self.trusted_by_caller else trusted(self.folder, self.hash)

    def require_trust(self) -> None:
        """Raise PackUntrusted unless the pack is trusted."""
        if self.trusted is None:
            raise PackUntrusted(
                f"pack {self.manifest.name} in {self.folder} is not bundled, and not trusted",
                received="models from elsewhere; a model is a program: it may crash this process, never terminate, or exhaust memory",
                expected="a bundled pack, one that you exported, or one that you trust",
                remedy=f"if you know who made it: meshwright packs trust {_quoted(self.folder)}, or trust=True for one time")

    @property
    def engines_untrusted(self) -> str | None:
        """Why built engines that lie in the pack's folder are not run; None where they are trusted, or there are none."""
        listing = listing_hash(self.folder)
        if listing is None or self.trusted_by_caller or is_bundled(self.folder) or trusted(self.folder, listing):
            return None
        return (f"the engines in the pack's folder are untrusted programs: if you know who built them, "
                f"meshwright packs trust {_quoted(self.folder)}")

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

    def _check(self, name: str, entry: FileEntry, hashes: FileHashes | None) -> None:
        """hashes : None leaves the file's content out"""
        try:
            self._check_file(self.path(name), name, entry, hashes)
        except (OSError, RuntimeError, ValueError) as error:  # the latter two for links in a ring, and names that no file can have
            raise PackCorrupt(f"{name} of pack {self.folder} cannot be read", received=str(error)) from error

    def _check_file(self, path: Path, name: str, entry: FileEntry, hashes: FileHashes | None) -> None:
        if not path.is_file():
            raise PackCorrupt(f"{name} is missing from pack {self.folder}", expected=f"sha256 {entry.sha256}",
                              remedy="reinstall the pack")
        _check_inside(path, self.folder)
        size = path.stat().st_size
        if size != entry.bytes:
            raise PackCorrupt(f"{name} of pack {self.folder} has another size than pack.json says",
                              received=f"{size} bytes", expected=f"{entry.bytes} bytes, sha256 {entry.sha256}",
                              remedy="reinstall the pack")
        if hashes is not None and (digest := hashes.of(path)) != entry.sha256:
            raise PackCorrupt(f"{name} of pack {self.folder} has been modified", received=f"sha256 {digest}",
                              expected=f"sha256 {entry.sha256}", remedy="reinstall the pack")

    def _check_models(self) -> None:
        """Each model is made of known operators, and its weights lie where hashes are known of."""
        for component in self.manifest.components.values():
            parent = PurePosixPath(component.file).parent
            beside = [PurePosixPath(name).name for name in self.manifest.files if PurePosixPath(name).parent == parent]
            try:
                check_model(self.path(component.file), beside)
            except ModelFileError as error:
                raise PackFormat(f"component {component.name} of pack {self.folder} is refused: {error.subject}", received=error.received,
                                 expected=error.expected) from error


def is_bundled(folder: Path) -> bool:
    """Whether the pack came with Meshwright."""
    return folder.resolve().is_relative_to(BUNDLED.resolve())


def find_pack(name_or_path: str | os.PathLike[str]) -> Path:
    """The folder of a pack. A plain name is looked up in $MESHWRIGHT_PACKS, then among the bundled packs,
    then as a folder here; anything with a separator is a path."""
    text = os.fspath(name_or_path)
    if not text or "\0" in text:
        raise PackNotFound("not a valid name of a pack", received=repr(text))
    if not isinstance(name_or_path, Path) and Path(text).name == text:
        for folder in installed_packs():
            if folder.name == text:
                return folder
    folder = Path(text)
    if _is_pack(folder):
        return folder
    known = ", ".join(sorted({folder.name for folder in installed_packs()})) or "none"
    raise PackNotFound("no such pack", received=text, expected=f"a folder with {MANIFEST}, or one of: {known}",
                       remedy=f"give its path, or set {VARIABLE} to the folder that holds it")


def installed_packs() -> list[Path]:
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
    # Unlike Path.is_file, this is False where the folder may not be looked into. A FIFO of that name is refused when it is read.
    return os.path.exists(folder / MANIFEST)


def _read_manifest(folder: Path) -> bytes:
    path = folder / MANIFEST
    try:
        _check_inside(path, folder)
    except (OSError, RuntimeError) as error:  # links in a ring
        raise PackFormat(f"{path} cannot be read", received=str(error)) from error
    return read_regular(path, str(path), PackFormat, max_bytes=MAX_MANIFEST_BYTES)


def _quoted(folder: Path) -> str:
    return f'"{folder}"' if " " in str(folder) else str(folder)


def _check_inside(path: Path, folder: Path) -> None:
    """A link may point to another file of the pack, never out of it."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise PackFormat(f"{path.name} of pack {folder} is a link that leads out of the folder", received=str(path.resolve()))
