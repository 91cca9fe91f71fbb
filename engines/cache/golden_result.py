"""What a replay of known inputs on a built engine found, kept in a small file beside it."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ..files.side_file import write_whole
from .cache import Entry

ENDING = ".verdict"


@dataclass(frozen=True)
class GoldenResult:
    """Whether an engine may be used.

    engine : SHA-256 of the engine; inputs : of the known inputs with their outputs. For any others it says nothing.
    relative : max |a - b| / max |b| over the outputs, None where that is no number; tolerance : that it had to be within
    """

    engine: str
    inputs: str
    relative: float | None
    tolerance: float

    @property
    def passed(self) -> bool:
        """False for an error that is no number."""
        return self.relative is not None and self.relative <= self.tolerance

    def __str__(self) -> str:
        found = "no number" if self.relative is None else f"{self.relative:.1e}"
        return f"relative error {found}, tolerance {self.tolerance:.1e}"


def verdict_on(entry: Entry, inputs: str, relative: float, tolerance: float) -> GoldenResult:
    """A new golden result. inputs, relative, tolerance : as `GoldenResult`; relative may be infinite or NaN."""
    return GoldenResult(entry.sha256, inputs, relative if math.isfinite(relative) else None, tolerance)


def read_verdict(entry: Entry, inputs: str, tolerance: float) -> GoldenResult | None:
    """The one on this engine, these inputs and this tolerance; None if there is none that can be read."""
    try:
        found = GoldenResult(**json.loads(_path(entry).read_text("utf-8")))
        asked = (found.engine, found.inputs, found.tolerance) == (entry.sha256, inputs, tolerance)
        return found if asked and isinstance(found.relative, float | None) else None
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def write_verdict(entry: Entry, golden_result: GoldenResult) -> bool:
    """Keep it; False where the cache's folder cannot be written, so that the next process has to judge again."""
    return write_whole(_path(entry), json.dumps(asdict(golden_result)).encode())


def drop_verdict(entry: Entry) -> None:
    """Forget it: whoever uses or builds the engine next asks it anew."""
    with suppress(OSError):
        _path(entry).unlink(missing_ok=True)


def _path(entry: Entry) -> Path:
    return entry.path.with_name(entry.path.name + ENDING)
