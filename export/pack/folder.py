"""A folder that appears finished or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ...engines.errors import ExportError
from ...engines.files.file_set import FULL, staged

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
    """A new folder beside `target`, which takes its place at the end of a block that did not fail (`engines.file_set`).

    Errors: ExportError as `check_target`, and for a disk that is full or does not let us write.
    """
    place = check_target(target)
    try:
        with staged([place]) as (folder,):
            folder.mkdir()
            yield folder
            check_target(target)  # an export takes long, and somebody may have put something there
    except OSError as error:
        raise _cannot_write(target, error) from error
    if folder.parent.exists():
        raise ExportError(f"the new pack is at {target}, but the old one could not be deleted", remedy=f"delete {folder.parent}")


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
        raise ExportError(f"{folder} is not a folder", remedy=ELSEWHERE)
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise ExportError(f"nothing can be written in {folder}", remedy=ELSEWHERE)


def _cannot_write(target: Path, error: OSError) -> ExportError:
    if error.errno not in FULL:
        return ExportError(f"the pack {target} cannot be written", received=str(error))
    return ExportError(f"the disk is full: the pack {target} cannot be written", received=str(error),
                       remedy="make room, or name a folder on another disk; nothing was left behind")
