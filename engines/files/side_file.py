"""Small files that are kept beside an engine in the cache, whole or not at all."""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path

from .rename import replace


def write_whole(path: Path, content: bytes) -> bool:
    """Replace a file; False where its folder cannot be written: the next process then finds out anew what would be in it."""
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        part.write_bytes(content)
        replace(part, path)
    except OSError:
        return False
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return True
