"""What TensorRT-RTX compiles for the card when an engine first runs, kept beside the engine for the next process."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from ..files.side_file import write_whole


class JitCache:
    """The compiled kernels of one engine. TensorRT refuses what another card, driver or version compiled.

    path : of the file that they are kept in; cache : TensorRT's object
    """

    def __init__(self, config: Any, path: Path) -> None:
        self._path = path
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
        if content and content != self._kept and write_whole(self._path, content):
            self._kept = content
