"""What an exported component is: a module, its tensors and how far the graph may stray from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import nn

from .inputs import Draw

# The case that every component has: values that `Input.draw` makes.
NOISE = "noise"


@dataclass(frozen=True)
class Precision:
    """weights : "fp32", "fp16" or "int8", as stored. compute : "fp32" or "fp16", as calculated.

    tolerance : largest relative error against the PyTorch module in FP32, max|a - b| / max|b|.
    """

    weights: str
    compute: str
    tolerance: float


FP32 = Precision("fp32", "fp32", 1e-4)
# Rounding a weight to half precision moves it by up to 5e-4 of itself; the layers add up a few of those.
FP16_STORED = Precision("fp16", "fp32", 1e-2)
FP16 = Precision("fp16", "fp16", 3e-2)
# Of layers; other large weights are halves. A weight moves by up to 8e-3 of the largest of the 64 that it shares a scale with, which
# came to 4e-3 to 2.4e-2 of a component's output where it was measured: what matters then is what the pack makes, not this number.
INT8 = Precision("int8", "fp32", 3e-2)


def stored(precision: Precision) -> Precision:
    """`precision` for what must be calculated in FP32: positions of points, and autoencoders that overflow."""
    return FP16_STORED if precision == FP16 else precision


def halves(precision: Precision) -> Precision:
    """`precision` for what 8 bits are too few for: a loop of guided steps that adds up its errors, and weights that make weights."""
    return FP16_STORED if precision == INT8 else precision


def uniform(low: float, high: float) -> Draw:
    """Float32 drawn evenly from [low, high)."""
    return lambda rng, shape: rng.uniform(low, high, shape).astype(np.float32)


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Float32 from the standard normal distribution."""
    return rng.standard_normal(shape, dtype=np.float32)


@dataclass(frozen=True)
class Input:
    """One input tensor of a graph.

    shape : lengths, and names for the axes that stay open, such as (1, "points", 3)
    draw : makes values of the range that occurs in use; its dtype is the tensor's
    cases : what users give, by name (`inputs`), where `draw` makes none of it
    """

    name: str
    shape: tuple[int | str, ...]
    draw: Draw = normal
    cases: Mapping[str, Draw] = field(default_factory=dict)

    def sample(self, rng: np.random.Generator, axes: Mapping[str, int], case: str = NOISE) -> np.ndarray:
        """Fresh values; `axes` gives a length to each open axis. An input that does not know the case is drawn as ever."""
        return self.cases.get(case, self.draw)(rng, tuple(axes[a] if isinstance(a, str) else a for a in self.shape))


@dataclass(frozen=True)
class ComponentSpec:
    """One component of a pack, ready to be exported.

    kind : what the recipe calls it, such as "vae_decoder"; also its name in the pack
    module : takes the inputs in their order, float32 or int64; gives the outputs in theirs, float32
    axes : for each open axis the lengths that are tried; the first one is also traced, and must be 2 or more
    reference : the module that the graph is compared with, where that is not `module` (one left in FP32)
    tolerance : overrides that of the precision
    in_halves : parts of the names of weights that 8 bits are too few for
    axes_of_cases : lengths of open axes that are cases of their own, by name: they are compared, and become golden inputs, as well
    """

    kind: str
    module: nn.Module
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    axes: Mapping[str, tuple[int, ...]] | None = None
    precision: Precision = FP32
    reference: nn.Module | None = None
    tolerance: float | None = None
    in_halves: tuple[str, ...] = ()
    axes_of_cases: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def limit(self) -> float:
        """Largest relative error that is accepted."""
        return self.precision.tolerance if self.tolerance is None else self.tolerance

    @property
    def file(self) -> str:
        return f"{self.kind}.onnx"

    def sizes(self) -> list[dict[str, int]]:
        """Every combination of lengths to try: all the first ones, all the second ones, and so on."""
        axes = self.axes or {}
        rounds = max((len(lengths) for lengths in axes.values()), default=1)
        return [{name: lengths[min(i, len(lengths) - 1)] for name, lengths in axes.items()} for i in range(rounds)]

    def named_cases(self) -> list[str]:
        """The cases besides noise: those that any input knows, and those that are lengths of open axes."""
        return list(dict.fromkeys([*(name for tensor in self.inputs for name in tensor.cases), *self.axes_of_cases]))

    def axes_of(self, case: str) -> dict[str, int]:
        """The lengths of the open axes in a named case."""
        return {**self.sizes()[-1], **self.axes_of_cases.get(case, {})}

    def sample(self, rng: np.random.Generator, axes: Mapping[str, int], case: str = NOISE) -> dict[str, np.ndarray]:
        """Fresh values of every input."""
        return {tensor.name: tensor.sample(rng, axes, case) for tensor in self.inputs}
