"""Several files, or folders, that are one result: all of them appear, or none does, whenever the process ends.

    with staged([chair.obj, chair.mtl]) as (obj, mtl):   # new names in hidden folders beside the targets
        obj.write_bytes(...)
        mtl.write_bytes(...)
    # here both have taken their places

The targets are renamed into place one after the other, the first one last. If one rename fails, those before it are undone. If
the process is killed between two, the set is finished by the next one that writes into one of these folders (`recover`), unless
somebody has changed a target meanwhile: then what is there stays. Before the first rename, a killed process leaves hidden folders
only, which the next one deletes.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import OutputError
from .lock import alone_in
from .moves import Move
from .rename import replace
from .staging import Staging, leftovers

# What the system says when a file cannot grow: no space, no quota, or a limit on the size of files.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Marks in the first staging folder of a set: all its moves are to be done, or to be undone.
FORWARD, BACK = "forward", "back"


def write_files(files: Mapping[Path, bytes], removed: Sequence[Path] = ()) -> None:
    """Write all files as one result; the first one is the one that names the others, and takes its place last.

    removed : files that are taken away together with it
    OutputError if that fails, and all is as before. An interrupt also cleans up, and goes on.
    """
    with _told(next(iter(files))), staged(list(files), removed) as places:
        for place, data in zip(places, files.values(), strict=True):
            with open(place, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())


def check_writable(targets: Sequence[Path]) -> None:
    """OutputError unless files can be made beside all targets; nothing is left there. Finishes what a killed process left."""
    for target in targets:
        with _told(target), suppress(FileNotFoundError):
            os.lstat(target)  # a name that is too long for any file
    with _told(targets[0]):
        _FileSet(targets, ()).close()


@contextmanager
def staged(targets: Sequence[Path], removed: Sequence[Path] = ()) -> Iterator[list[Path]]:
    """For each target a path that is free, to write a file or a folder to; all take their places if the block does not fail.

    Folders that the targets lie in are made, and taken away again after a failure. OSError if something cannot be written; it, or
    what the block raised, is never hidden by what fails while cleaning up.
    """
    files = _FileSet(targets, removed)
    try:
        yield files.waiting
        files.commit()
    finally:
        files.close()


def recover(folder: Path) -> None:
    """Finish or delete what dead processes of this user left in `folder`. Raises no OSError: what cannot be done now waits."""
    for found in leftovers(folder.resolve()):
        _recover(found)


class _FileSet:
    """A set on its way."""

    def __init__(self, targets: Sequence[Path], removed: Sequence[Path]) -> None:
        places = [_place(path) for path in (*targets, *removed)]
        self._parents = list(dict.fromkeys(place.parent for place in places))
        self._token = secrets.token_hex(8)
        self._made = _missing(self._parents)
        self._stagings: dict[Path, Staging] = {}
        self._unfinished = False
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        self._places = [(self._stagings[place.parent].path, place.name) for place in places]
        self.waiting = [staging / f"{number}.new" for number, (staging, _) in enumerate(self._places[:len(targets)])]

    def commit(self) -> None:
        """Put everything in place, or nothing."""
        with alone_in(self._parents):
            moves = [Move.of(staging, name, number) for number, (staging, name) in enumerate(self._places)]
            if len(moves) == 1 and not moves[0].waiting.is_dir():  # one rename needs no other process to finish it
                replace(moves[0].waiting, moves[0].target)
                return
            self._note(moves)
            mark = self._first / FORWARD
            mark.touch()
            try:
                for move in reversed(moves):
                    move.do()
            except BaseException:
                self._undo(moves, mark)
                raise

    def close(self) -> None:
        """Delete what is not needed any more: folders of ours, and those that were made and have stayed empty."""
        for staging in reversed(self._stagings.values()):  # the first one, with the mark, last
            staging.close(remove=not self._unfinished)
        _unmake(self._made)

    @property
    def _first(self) -> Path:
        return next(iter(self._stagings.values())).path

    def _open(self) -> None:
        """Make the folders. The first staging folder comes before all others and names them, so that none is ever forgotten."""
        first, *others = self._parents
        first.mkdir(parents=True, exist_ok=True)
        there = [parent for parent in self._parents if parent.is_dir()]
        with alone_in(there):
            for parent in there:
                recover(parent)
            self._stagings[first] = Staging.create(first, self._token)
            self._note([])
            for parent in others:
                self._stagings[parent] = Staging.create(parent, self._token)

    def _note(self, moves: Sequence[Move]) -> None:
        """For the process that finds us dead."""
        folders = [Staging.place(parent, self._token) for parent in self._parents]
        for parent, staging in self._stagings.items():
            own = [move.record() for move in moves if move.staging == staging.path]
            staging.write_record({"folders": _from(parent, folders), "made": _from(parent, self._made), "moves": own})

    def _undo(self, moves: Sequence[Move], mark: Path) -> None:
        """As far as possible; what is left to do is done by the next process that writes here."""
        self._unfinished = True
        with suppress(OSError):
            replace(mark, mark.with_name(BACK))
            for move in moves:
                move.undo()
            self._unfinished = False


def _recover(found: Staging) -> None:
    """Finish or delete the set that one staging folder of a dead process belongs to, unless another process is at it."""
    record = found.read_record() or {}
    folders = _paths(record, "folders", found) or [found.path]
    others = {path: Staging.adopt(path) for path in folders if path != found.path}
    held = [found, *filter(None, others.values())]
    finished = not any(other is None and os.path.lexists(path) for path, other in others.items())
    if finished and len(held) == len(folders):
        finished = _finish(folders[0], held)
    for staging in held:
        staging.close(remove=finished)
    if finished:
        _unmake(_paths(record, "made", found))


def _finish(first: Path, stagings: Sequence[Staging]) -> bool:
    """Do or undo all moves of a whole set, as its mark says and where nobody has changed the targets. False: to be tried again."""
    forward, back = (first / FORWARD).exists(), (first / BACK).exists()
    if not forward and not back:
        return True
    try:
        moves = [Move.from_record(each.path, move) for each in stagings for move in (each.read_record() or {})["moves"]]
    except (KeyError, TypeError, ValueError):
        return True
    moves.sort(key=lambda move: move.number, reverse=forward)
    try:
        if all(move.is_unchanged() for move in moves):
            for move in moves:
                move.do() if forward else move.undo()
    except OSError:
        return False
    return True


def _from(start: Path, paths: Sequence[Path]) -> list[str]:
    """The paths from the folder `start`, so that they hold when all of it is moved; from another drive they cannot be said so."""
    return [os.path.relpath(path, start) if path.anchor == start.anchor else str(path) for path in paths]


def _paths(record: dict[str, Any], key: str, found: Staging) -> list[Path]:
    """The inverse; nothing for anything else."""
    names = record.get(key)
    if not isinstance(names, list) or not all(isinstance(name, str) and "\0" not in name for name in names):
        return []
    return [Path(os.path.normpath(found.path.parent / name)) for name in names]


def _place(path: Path) -> Path:
    """Without links in the folders above it. A link is a place of its own: it is replaced, not what it leads to."""
    return path.parent.resolve() / path.name


def _missing(folders: Sequence[Path]) -> list[Path]:
    """Those that are not there, and those above them; the deepest first."""
    missing = {each for folder in folders for each in (folder, *folder.parents) if not each.exists()}
    return sorted(missing, key=lambda each: len(each.parts), reverse=True)


def _unmake(folders: Sequence[Path]) -> None:
    """Delete those that are empty."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """An OSError as an OutputError about `path`."""
    try:
        yield
    except OSError as error:
        full = error.errno in FULL
        raise OutputError(
            subject=str(path), received=error.strerror or str(error), expected="a file that can be written",
            remedy="free some space or choose another disk" if full else "check the folder and its permissions") from error
