"""A folder that appears finished or not at all."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..engines.errors import ExportError

# What the system says when a file cannot grow: no space, no quota, or a limit on the size of files.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_target(target: Path) -> None:
    """Errors: ExportError if something other than a pack is at `target`, or if nothing can be written there."""
    if target.exists() and not (target / "pack.json").is_file():
        raise ExportError(f"{target} is in the way", expected="an old pack, or nothing", remedy="name another output folder")


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, which takes its place at the end of a block that did not fail.

    Errors: ExportError as `check_target`, and for a disk that is full or does not let us write.
    """
    check_target(target)
    folder = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", suffix=".part", dir=target.parent))
        yield folder
        folder.chmod(0o755)
        _replace(folder, target)
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


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
    shutil.rmtree(old)
