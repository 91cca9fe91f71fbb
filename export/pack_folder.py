"""A folder that appears finished or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from ..engines.errors import ExportError

# What the system says when a file cannot grow: no space, no quota, or a limit on the size of files.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
ELSEWHERE = "name another output folder"


def check_target(target: Path) -> Path:
    """Where a pack at `target` will stand: the same, links followed.

    Errors: ExportError if anything but a pack is there, if a pack's folder holds files that are not the pack's, or if no folder
    can be made there.
    """
    try:
        place = target.resolve()
        if place.exists():
            _check_replaceable(place, target)
        _check_writable(next(folder for folder in place.parents if folder.exists()))
    except (OSError, RuntimeError, ValueError) as error:  # a name that is too long, links in a ring, a zero byte
        raise ExportError(f"no folder can be made at {str(target)!r}", received=str(error), remedy=ELSEWHERE) from error
    return place


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, which takes its place at the end of a block that did not fail.

    Errors: ExportError as `check_target`, and for a disk that is full or does not let us write.
    """
    place = check_target(target)
    made, folder = [path for path in place.parents if not path.exists()], None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{place.name[:40]}-", suffix=".part", dir=place.parent))
        yield folder
        folder.chmod(0o755)
        _replace(folder, place)
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        for path in made:  # the nearest first; what is not empty stays
            with suppress(OSError):
                path.rmdir()


def _check_replaceable(place: Path, target: Path) -> None:
    if not (place / "pack.json").is_file():
        raise ExportError(f"{target} is in the way", expected="an old pack, or nothing", remedy=ELSEWHERE)
    strangers = _strangers(place)
    if strangers:
        more = f" and {len(strangers) - 3} more" if len(strangers) > 3 else ""
        raise ExportError(f"{target} is in the way: not all that it holds is of a pack", received=", ".join(strangers[:3]) + more,
                          expected="what its pack.json names", remedy=f"move that away, or {ELSEWHERE}")


def _strangers(folder: Path) -> list[str]:
    """What lies in `folder` and does not belong to the pack that its pack.json describes."""
    try:
        files = json.loads((folder / "pack.json").read_bytes())["files"]
        own = {"pack.json", *(PurePosixPath(name).parts[0] for name in files)}
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):  # a pack.json of something else
        own = set()
    return sorted(path.name for path in folder.iterdir() if path.name not in own)


def _check_writable(folder: Path) -> None:
    if not folder.is_dir():
        raise ExportError(f"{folder} is no folder", remedy=ELSEWHERE)
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise ExportError(f"nothing can be written in {folder}", remedy=ELSEWHERE)


def _cannot_write(target: Path, error: OSError) -> ExportError:
    if error.errno not in FULL:
        return ExportError(f"the pack {target} cannot be written", received=str(error))
    return ExportError(f"the disk is full: the pack {target} cannot be written", received=str(error),
                       remedy="make room, or name a folder on another disk; nothing was left behind")


def _replace(folder: Path, target: Path) -> None:
    """Folders cannot be swapped in one call: the old one steps aside, and comes back if the new one cannot take over."""
    if not target.exists():
        folder.rename(target)
        return
    old = folder.with_suffix(".old")
    target.rename(old)
    try:
        folder.rename(target)
    except OSError:
        with suppress(OSError):
            old.rename(target)
        raise
    try:
        shutil.rmtree(old)
    except OSError as error:
        raise ExportError(f"the new pack is at {target}, but the old one could not be deleted", received=str(error),
                          remedy=f"delete {old}") from error
