"""Which files a run may write over: never those that it reads, and of early results those that an earlier run marked as such."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...engines.errors import OutputError

# A file that is read: its path, or the descriptor that it is open as.
Source = Path | int
ELSEWHERE = "choose another folder or name"
STAGE_NAME = re.compile(r"(matte|crop)(_[\d.e-]+)?\.png|(coarse_)?view_\d+\.png|coarse\.glb|surface\.ply")
# In a text chunk of a PNG, in `asset.extras` of a GLB, in a comment of a PLY file; near the beginning of each.
MARK = "Meshwright stage"
HEAD = 1 << 16
# The signature and the header chunk of a PNG, which is always the first.
PNG_START = 33


def check_not_read(targets: Iterable[Path], sources: Iterable[Source]) -> None:
    """OutputError if one of the files to be written, or taken away, is one of those that are read."""
    written = [(path, _identities(path)) for path in targets]
    for source in sources:
        read = _identities(source)
        by = next((path for path, identities in written if not identities.isdisjoint(read)), None)
        if by is not None:
            raise OutputError(f"{_name(source)} would be overwritten, but the run reads it", received=f"the output {by}",
                              remedy=ELSEWHERE)


def _identities(source: Source) -> set[tuple[int, int] | Path]:
    """Of the file that a path leads to, and of the link that it is; of an open file. Nothing is known of what is not there."""
    looks: tuple[Callable[[Any], os.stat_result], ...] = (os.stat,) if isinstance(source, int) else (os.stat, os.lstat)
    found: set[tuple[int, int] | Path] = set() if isinstance(source, int) else {_absolute(source)}
    for look in looks:
        with suppress(OSError, ValueError):
            there = look(source)
            found |= {(there.st_dev, there.st_ino)} if there.st_ino else set()
    return found


def _absolute(path: Path) -> Path:
    """Without links in the folders above; for file systems that do not number their files."""
    return Path(os.path.realpath(path.parent)) / path.name


def _name(source: Source) -> str:
    return "the file on standard input" if isinstance(source, int) else str(source)


def is_stage_name(name: str) -> bool:
    """Whether an early result may be written under that name."""
    return STAGE_NAME.fullmatch(name) is not None


def marked(files: Mapping[Path, bytes]) -> dict[Path, bytes]:
    """The same PNG and PLY files with the mark; a GLB has it in its extras."""
    return {path: _marked(path, data) for path, data in files.items()}


def earlier_stages(folder: Path) -> Iterator[Path]:
    """Files in `folder` that an earlier run kept there. One that somebody has put there, or drawn over, is not among them."""
    if not os.path.isdir(folder):
        return
    for path in sorted(folder.iterdir()):
        if is_stage_name(path.name) and os.path.isfile(path):
            with suppress(OSError), path.open("rb") as file:
                if MARK.encode() in file.read(HEAD):
                    yield path


def _marked(path: Path, data: bytes) -> bytes:
    if path.suffix == ".ply":
        return data.replace(b"\ncomment Meshwright\n", f"\ncomment {MARK}\n".encode(), 1)
    if path.suffix != ".png":
        return data
    body = b"tEXtSoftware\0" + MARK.encode()
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return data[:PNG_START] + chunk + data[PNG_START:]
