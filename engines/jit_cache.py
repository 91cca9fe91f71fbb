"""What TensorRT-RTX compiles for the card when an engine first runs, kept beside the engine for the next process."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

ENDING = ".kernels"


class JitCache:
    """The compiled kernels of one engine. TensorRT refuses what another card, driver or version compiled.

    cache : TensorRT's object
    """

    def __init__(self, config: Any, plan: Path) -> None:
        self._path = path_of(plan)
        self.cache = config.create_runtime_cache()
        self._kept = b""
        with suppress(OSError):
            content = self._path.read_bytes()
            if content and self.cache.deserialize(content):
                self._kept = content
        config.set_runtime_cache(self.cache)

    def save(self) -> None:
        """Write down what was compiled since. A folder that cannot be written to is no error: it is compiled again."""
        content = bytes(self.cache.serialize() or b"")
        if not content or content == self._kept:
            return
        part = self._path.with_name(f".{secrets.token_hex(8)}.part")
        with suppress(OSError):
            try:
                part.write_bytes(content)
                os.replace(part, self._path)
                self._kept = content
            finally:
                part.unlink(missing_ok=True)


def path_of(plan: Path) -> Path:
    """The file in which the kernels for an engine lie."""
    return plan.with_name(plan.name + ENDING)
