"""Whether a loop is launched as one CUDA graph or step by step: what was measured, kept beside the engine it was measured on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ..files.side_file import write_whole

ENDING = ".graphs"


@dataclass(frozen=True)
class GraphChoice:
    """use_graph : what is used from now on

    graph_ms, plain_ms : of the whole loop, both ways; None for a way that was not timed
    why_not : why no graph could be captured, or why its result was refused; None where there was one
    """

    use_graph: bool
    graph_ms: float | None = None
    plain_ms: float | None = None
    why_not: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether every value is of its type, which a file that was altered may not give."""
        times = (self.graph_ms, self.plain_ms)
        return isinstance(self.use_graph, bool) and isinstance(self.why_not, str | None) and all(
            isinstance(each, int | float | None) for each in times)


class GraphChoices:
    """The choices of one engine, by the shapes and number of steps of a loop."""

    def __init__(self, plan: Path) -> None:
        self._path = plan.with_name(plan.name + ENDING)

    def find(self, loop: str) -> GraphChoice | None:
        """What was measured for that loop, if it was."""
        return self.all().get(loop)

    def all(self) -> dict[str, GraphChoice]:
        """All of them; none from a file that cannot be read, which costs no more than measuring again."""
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            choices = {loop: GraphChoice(**choice) for loop, choice in document.items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return {}
        return {loop: choice for loop, choice in choices.items() if choice.is_whole}

    def keep(self, loop: str, choice: GraphChoice) -> None:
        """Write one down. A folder that cannot be written to is no error: the next process measures again."""
        document = {name: asdict(each) for name, each in {**self.all(), loop: choice}.items()}
        write_whole(self._path, json.dumps(document, indent=1).encode())


def describe(shapes: Mapping[str, tuple[int, ...]], steps: int) -> str:
    """What a loop is known by: "30 steps; latent 1x4x96x64; previous 1x4x96x64"."""
    listed = (f"{name} {'x'.join(map(str, shape)) or 'scalar'}" for name, shape in sorted(shapes.items()))
    return "; ".join([f"{steps} steps", *listed])
