"""The early results of a run as files of a folder, each marked as such, so that a later run knows which it may take away."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

STAGE_NAME = re.compile(r"(matte|crop)(_[\d.e-]+)?\.png|(coarse_)?view_\d+\.png|coarse\.glb|surface\.ply")
# In a text chunk of a PNG, in `asset.extras` of a GLB, in a comment of a PLY file; near the beginning of each.
MARK = "Meshwright stage"
HEAD = 1 << 16
# The signature and the header chunk of a PNG, which is always the first.
PNG_START = 33


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
