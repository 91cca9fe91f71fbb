"""The loops of one engine on a GPU, by what they work on: their buffers and graphs are used again, and the oldest make room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from .engine import Tensors
from .loop_buffers import len_of

# Shapes and numbers of steps of which buffers and graphs are kept; who asks for more of them pays for new ones.
MOST = 4


class Closable(Protocol):
    """What can be given back."""

    def close(self) -> None: ...


Loop = TypeVar("Loop", bound=Closable)


class KeptLoops(Generic[Loop]):
    """At most four loops by their keys; which was not asked for longest is closed for a new one."""

    def __init__(self) -> None:
        self._loops: OrderedDict[str, Loop] = OrderedDict()

    def get(self, key: str, make: Callable[[], Loop]) -> Loop:
        """The loop of that key; one that `make` gives, once there is room for it, where there is none."""
        if key not in self._loops:
            while len(self._loops) >= MOST:
                self._loops.popitem(last=False)[1].close()
            self._loops[key] = make()
        self._loops.move_to_end(key)
        return self._loops[key]

    def clear(self) -> None:
        """Close them all."""
        while self._loops:
            self._loops.popitem()[1].close()

    def __iter__(self) -> Iterator[Loop]:
        return iter(self._loops.values())


def key_of(carry: Tensors, per_step: Tensors, constants: Tensors) -> str:
    """What a scan's loop is known by: steps and shapes, and, for two of the same shapes, which tensors it carries."""
    shapes = sorted(shapes_of(carry, per_step, constants).items())
    listed = "; ".join(f"{name} {'x'.join(map(str, shape)) or 'scalar'}" for name, shape in shapes)
    return f"{len_of(per_step)} steps; {listed}; carries {' '.join(sorted(carry))}; each step {' '.join(sorted(per_step))}"


def shapes_of(carry: Tensors, per_step: Tensors, constants: Tensors) -> dict[str, tuple[int, ...]]:
    """Of every input of one step, by name."""
    return {**{name: value.shape for name, value in {**carry, **constants}.items()},
            **{name: value.shape[1:] for name, value in per_step.items()}}
