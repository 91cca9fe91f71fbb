"""The folder of built engines: each one file, found by its key and trusted only once its hash fits.

A file is MAGIC, the length of a JSON header, the header, and the engine. The header holds the key, the engine's size and
SHA-256, and what was built, so that a listing reads no engine and nothing but the file itself has to be believed.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import EngineError, OutputError
from ..files.lock import locked
from ..files.rename import replace
from ..files.user_folder import VARIABLE, default_folder
from .key import Key, key_from
from .record import ENDING as RECORD
from .record import EngineRecord, read_record

MAGIC, ENDING, PART = b"meshwright engine 2\n", ".engine", ".part"
# What a build has under way, and only while it holds the lock.
BUILDING = ".build-"
LENGTH, MAX_HEADER_BYTES = 8, 1 << 20
LOCK = "lock"
# What is measured on engines that lie elsewhere, in the folders of packs, which may be closed to writing.
ELSEWHERE = "of_packs"


@dataclass(frozen=True)
class Entry:
    """One engine on disk.

    name : of what was built, such as "props/refiner_step"; model : where its model file lay
    bytes : of the engine; seconds : that the build took; offset : where the engine begins in the file
    """

    path: Path
    key: Key
    name: str
    model: str
    bytes: int
    sha256: str
    seconds: float
    offset: int


class DamagedEngine(EngineError):
    """A file of the cache is truncated, altered, or none of ours."""


class EngineCache:
    """A folder of engines, made when the first one is stored."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = default_folder() if folder is None else folder

    def path(self, name: str, key: Key) -> Path:
        """Where the engine of that key lies, if there is one."""
        return self.folder / file_name(name, key)

    def record(self, entry: Entry, card: str) -> EngineRecord:
        """What is measured on an engine of this folder, or of a pack's. card : that it is run on"""
        if entry.path.parent == self.folder:
            return EngineRecord(entry.path, entry.sha256, card)
        elsewhere = self.folder / ELSEWHERE
        with suppress(OSError):  # what cannot be written down is measured again
            elsewhere.mkdir(parents=True, exist_ok=True)
        return EngineRecord(elsewhere / entry.sha256, entry.sha256, card, entry.path)

    def orphans(self) -> list[Path]:
        """What was measured on engines of packs that are gone."""
        try:
            kept = sorted((self.folder / ELSEWHERE).iterdir())
        except OSError:
            return []
        sources = {path.stem: read_record(path).get("source") for path in kept if path.suffix == RECORD}
        return [path for path in kept if not os.path.isfile(sources.get(path.stem) or "")]

    def check(self, entry: Entry) -> None:
        """Raise DamagedEngine unless an engine's bytes are those that were stored."""
        check_engine(entry)

    def entries(self) -> Iterator[Entry | DamagedEngine]:
        """All engines by name, without reading more than their headers; for a damaged one, what is wrong with it."""
        yield from (entry for _, entry in self.files())

    def files(self, name: str = "") -> Iterator[tuple[Path, Entry | DamagedEngine]]:
        """The same with the files' paths. name : only those that are called as engines of that name are"""
        for path in self._files(file_start(name)):
            try:
                yield path, read_header(path)
            except DamagedEngine as error:
                yield path, error

    def store(self, name: str, key: Key, model: Path, build: Callable[[Path], float]) -> Entry:
        """Let `build` write an engine to a new file, and put it in place when it is whole. What was noted beside the engine that
        was there goes with it: loops that were timed and compared on that one say nothing of the new one.

        build : gets the path, returns the seconds it took; what it raises leaves the cache as it was. Beside that path it may
            keep what it needs meanwhile, in files or folders whose names begin with that of the path.
        OutputError if the folder cannot be written.
        """
        path, part = self.path(name, key), self.folder / f"{BUILDING}{secrets.token_hex(8)}{PART}"
        engine = part.with_suffix(f".raw{PART}")
        try:
            with self._writing():
                part.touch()  # better now than after minutes
            seconds = build(engine)
            with self._writing():
                header = {"key": asdict(key), "name": name, "model": str(model), "bytes": engine.stat().st_size,
                          "sha256": _hash(engine, 0), "seconds": round(seconds, 2)}
                _assemble(part, header, engine)
                self._forget(path)
                replace(part, path)
        finally:
            for file in (part, engine):
                with suppress(OSError):
                    file.unlink(missing_ok=True)
        return read_header(path)

    @contextmanager
    def lock(self, on_wait: Callable[[str], None], meanwhile: Callable[[], None] = lambda: None) -> Iterator[int]:
        """Only one process at a time builds into the folder. Gives the lock's descriptor, for the process that builds to inherit.

        on_wait, meanwhile : as `locked`. OutputError as `store`.
        """
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / LOCK, on_wait, meanwhile, self._writing) as handle:
            yield handle

    def remove(self, path: Path) -> None:
        """Delete one file and what is noted beside it. OutputError if it stays."""
        with self._writing():
            self._forget(path)
            _delete(path)

    def keep_newest(self, name: str, most: int) -> None:
        """Delete engines of that name until `most` are left, those first that were not used for longest (`use`). Ask only while the
        lock is held. What cannot be deleted stays."""
        with suppress(OSError, OutputError):
            there = [entry.path for entry in self.entries() if isinstance(entry, Entry) and entry.name == name]
            for path in sorted(there, key=lambda path: path.stat().st_mtime_ns)[:max(0, len(there) - most)]:
                self.remove(path)

    def use(self, entry: Entry) -> None:
        """Note that an engine is used now, where the folder can be written."""
        with suppress(OSError):
            os.utime(entry.path)

    def leftovers(self) -> list[Path]:
        """What processes that were ended by force have left. Ask only while the lock is held."""
        return self._found(lambda name: name.startswith(BUILDING) or name.endswith(PART))

    def sweep(self) -> None:
        """Delete what builds that were ended by force have left. Ask only while the lock is held. What cannot be deleted stays."""
        for path in self._found(lambda name: name.startswith(BUILDING)):
            with suppress(OSError):
                _delete(path)

    def _forget(self, path: Path) -> None:
        for file in self.folder.glob(f"{glob.escape(path.name)}.*"):
            file.unlink(missing_ok=True)

    def _files(self, start: str) -> list[Path]:
        return self._found(lambda name: name.endswith(ENDING) and name.startswith(start))

    def _found(self, wanted: Callable[[str], bool]) -> list[Path]:
        try:
            return sorted(path for path in self.folder.iterdir() if wanted(path.name))
        except (FileNotFoundError, NotADirectoryError):  # a file in the way is told of by what wants to write there
            return []
        except OSError as error:
            raise OutputError(f"the engine cache {self.folder} cannot be read", received=str(error),
                              remedy=f"set {VARIABLE} to another folder") from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"the engine cache {self.folder} cannot be written", received=error.strerror or str(error),
                              remedy=f"set {VARIABLE} to a folder that can be written and has room") from error


def file_name(name: str, key: Key) -> str:
    """Of an engine, in the cache and in packs."""
    return f"{file_start(name)}-{key.digest[:16]}{ENDING}"


def file_start(name: str) -> str:
    """How the names of all files begin that hold an engine of that name."""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)[:80]


def describe() -> dict[str, Any]:
    """The default cache in plain JSON: folder, count and bytes of its engines, how many of its files are damaged, and why
    it cannot be read where that is so. Never raises."""
    folder, found, why_not = None, [], None
    try:
        folder = str(default_folder())
        found = list(EngineCache().entries())
    except OutputError as error:
        why_not = str(error)
    whole = [entry for entry in found if isinstance(entry, Entry)]
    return {"folder": folder, "count": len(whole), "bytes": sum(entry.bytes for entry in whole), "damaged": len(found) - len(whole),
            "why_not": why_not}


def read_header(path: Path) -> Entry:
    """What a file of the cache says of itself, its length checked. DamagedEngine if it is none of ours, or cut short."""
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise DamagedEngine(f"{path.name} is not an engine of this release")
            length = int.from_bytes(file.read(LENGTH), "little")
            if not 0 < length <= MAX_HEADER_BYTES:
                raise DamagedEngine(f"{path.name} is damaged", received=f"a header of {length} bytes")
            return _entry(path, json.loads(file.read(length)), file.tell())
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, OSError) as error:
        raise DamagedEngine(f"{path.name} is damaged", received=str(error)) from error


def check_engine(entry: Entry) -> None:
    """Raise DamagedEngine unless the engine's bytes are those that were stored."""
    try:
        digest = _hash(entry.path, entry.offset)
    except OSError as error:
        raise DamagedEngine(f"{entry.path.name} cannot be read", received=str(error)) from error
    if digest != entry.sha256:
        raise DamagedEngine(f"{entry.path.name} has been modified")


def _entry(path: Path, header: Mapping[str, Any], offset: int) -> Entry:
    name, model, sha256 = (str(header[part]) for part in ("name", "model", "sha256"))
    entry = Entry(path, key_from(header["key"]), name, model, int(header["bytes"]), sha256, float(header["seconds"]), offset)
    size = path.stat().st_size - offset
    if size != entry.bytes:
        raise DamagedEngine(f"{path.name} is truncated", received=f"{size} bytes", expected=f"{entry.bytes} bytes")
    return entry


def copy_engine(entry: Entry, target: Path) -> None:
    """Write an engine of the cache into the new file `target`, for another machine: it does not tell where the model lay here."""
    header = {"key": asdict(entry.key), "name": entry.name, "model": Path(entry.model).name, "bytes": entry.bytes,
              "sha256": entry.sha256, "seconds": entry.seconds}
    _assemble(target, header, entry.path, entry.offset)


def _assemble(part: Path, header: Mapping[str, Any], engine: Path, offset: int = 0) -> None:
    text = json.dumps(header).encode()
    with part.open("wb") as file, engine.open("rb") as source:
        source.seek(offset)
        file.write(MAGIC + len(text).to_bytes(LENGTH, "little") + text)
        shutil.copyfileobj(source, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _hash(path: Path, offset: int) -> str:
    with path.open("rb") as file:
        file.seek(offset)
        return hashlib.file_digest(file, "sha256").hexdigest()
