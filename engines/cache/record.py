"""What was measured on one engine: its golden result and how its loops run, card by card, in one JSON file beside the engine.

Another card says nothing of this one: it compiles, rounds and times otherwise, though the engine is the same.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from ..files.side_file import write_whole

ENDING, KERNELS = ".record", ".kernels"
UNKNOWN_CARD = "unknown"


@dataclass(frozen=True)
class GoldenResult:
    """Whether an engine may be used.

    inputs : SHA-256 of the known inputs with their outputs; of any others it says nothing
    relative : max |a - b| / max |b| over the outputs, None where that is no number; tolerance : that it had to be within
    """

    inputs: str
    relative: float | None
    tolerance: float

    @classmethod
    def of(cls, inputs: str, relative: float, tolerance: float) -> GoldenResult:
        """relative : may be infinite or NaN"""
        return cls(inputs, relative if math.isfinite(relative) else None, tolerance)

    @property
    def passed(self) -> bool:
        """False for an error that is no number."""
        return self.relative is not None and self.relative <= self.tolerance

    def __str__(self) -> str:
        found = "no number" if self.relative is None else f"{self.relative:.1e}"
        return f"relative error {found}, tolerance {self.tolerance:.1e}"


@dataclass(frozen=True)
class BlockChoice:
    """How the loops of an engine on tensors of the same shapes are launched.

    steps : of a block that is launched as one CUDA graph; 0 where steps are launched one by one
    block_ms : that a block was allowed to take
    graph_ms, plain_ms : of the first block, both ways; None for a way that was not timed
    why_not : why no graph could be captured, or why its result was refused; None where there was one, or none was tried
    """

    steps: int
    block_ms: float
    graph_ms: float | None = None
    plain_ms: float | None = None
    why_not: str | None = None

    @property
    def use_graph(self) -> bool:
        """Whether there are blocks."""
        return self.steps > 0


Measured = TypeVar("Measured", GoldenResult, BlockChoice)
# Which JSON values a field may hold, by its annotation.
TYPES = {"int": int, "str": str, "float": int | float, "float | None": int | float | None, "str | None": str | None}


class EngineRecord:
    """The measurements of one engine on one card. A file that is damaged, or of another engine, is as good as none; a folder that
    cannot be written to is no error: the next process measures again.

    path : of the engine, or the name beside which its record is kept; engine : SHA-256 of it; card : that it is run on
    source : where the engine lies, if not at `path`
    """

    def __init__(self, path: Path, engine: str = "", card: str = UNKNOWN_CARD, source: Path | None = None) -> None:
        self.path, self.kernels = path.with_name(path.name + ENDING), path.with_name(path.name + KERNELS)
        self._engine, self._card, self._source = engine, card, str(source or path)

    def golden_result(self, inputs: str, tolerance: float) -> GoldenResult | None:
        """The one on these inputs and this tolerance, if they have been replayed."""
        found = _whole(GoldenResult, self._measured().get("golden"))
        return found if found is not None and (found.inputs, found.tolerance) == (inputs, tolerance) else None

    def keep_golden_result(self, result: GoldenResult) -> bool:
        """Write it down; False where that is not possible."""
        return self._change({"golden": asdict(result)})

    def forget_golden_result(self) -> None:
        """Whoever uses or builds the engine next replays the golden inputs anew."""
        if "golden" in self._measured():
            self._change({"golden": None})

    def loops(self) -> dict[str, BlockChoice]:
        """How each loop runs, by its shapes."""
        kept = self._measured().get("loops")
        found = {loop: _whole(BlockChoice, each) for loop, each in kept.items()} if isinstance(kept, dict) else {}
        return {loop: choice for loop, choice in found.items() if choice is not None}

    def loop(self, name: str) -> BlockChoice | None:
        """How that one runs, if it was measured."""
        return self.loops().get(name)

    def keep_loop(self, loop: str, choice: BlockChoice) -> bool:
        """Write one down; False where that is not possible."""
        return self._change({"loops": {name: asdict(each) for name, each in {**self.loops(), loop: choice}.items()}})

    def _measured(self) -> dict[str, Any]:
        return self._cards().get(self._card, {})

    def _cards(self) -> dict[str, dict[str, Any]]:
        document = read_record(self.path)
        cards = document.get("cards")
        if document.get("engine") != self._engine or not isinstance(cards, dict):
            return {}
        return {card: measured for card, measured in cards.items() if isinstance(measured, dict)}

    def _change(self, measured: Mapping[str, Any]) -> bool:
        cards = self._cards() | {self._card: {**self._measured(), **measured}}
        document = {"engine": self._engine, "source": self._source, "cards": cards}
        return write_whole(self.path, json.dumps(document, indent=1).encode())


def read_record(path: Path) -> dict[str, Any]:
    """The JSON object in a record's file; empty for one that is missing or damaged."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _whole(kind: type[Measured], kept: object) -> Measured | None:
    """What the file says, if every value of it is there and of its type."""
    names = {each.name: TYPES[str(each.type)] for each in fields(kind)}
    if not isinstance(kept, dict) or kept.keys() != names.keys():
        return None
    return kind(**kept) if all(isinstance(kept[name], wanted) for name, wanted in names.items()) else None
