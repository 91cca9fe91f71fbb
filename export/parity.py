"""How far an exported graph is from the PyTorch module it was made of, and the golden tensors that prove it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..engines import Engine, EngineSpec, open_engine
from ..engines.errors import MeshwrightError
from .spec import ComponentSpec

Tensors = dict[str, np.ndarray]
# Golden outputs are rounded to this part of their largest value, so that they compress; far below any tolerance.
GOLDEN_STEP = 2.0**-16
# Golden inputs with more values than this are made coarse, for the same reason.
GOLDEN_FINE = 4096


@dataclass(frozen=True)
class Error:
    """abs : max |a - b| ; rel : max |a - b| / max |b|, the largest of all outputs. Infinite if a value is not finite."""

    abs: float
    rel: float

    def __or__(self, other: Error) -> Error:
        return Error(max(self.abs, other.abs), max(self.rel, other.rel))


@dataclass(frozen=True)
class Trials:
    """What a component's graph must give, in numbers alone: the module that they came from may go.

    cases : inputs and the reference's outputs, one pair for each size that the spec names
    """

    kind: str
    limit: float
    cases: tuple[tuple[Tensors, Tensors], ...]

    def compare(self, path: Path) -> Comparison:
        """Run the graph on every case."""
        try:
            with open_engine(path) as engine:
                error = self._measure(engine)
                spec = engine.spec
        except MeshwrightError as problem:
            return Comparison(None, None, f"{self.kind} ({path.name}): {problem}")
        if error is None or error.rel <= self.limit:  # never true of NaN
            return Comparison(spec, error, None)
        return Comparison(spec, error, f"{self.kind} ({path.name}): relative error {error.rel:.3g}, at most {self.limit:.3g}")

    def _measure(self, engine: Engine) -> Error | None:
        errors = [difference(engine.run(inputs), expected) for inputs, expected in self.cases]
        return reduce(or_, errors) if errors else None


@dataclass(frozen=True)
class Comparison:
    """What a graph gave. spec : its tensors; error : None if nothing was compared; problem : what is wrong, or None.

    A graph that does not run at all has neither spec nor error.
    """

    spec: EngineSpec | None
    error: Error | None
    problem: str | None


def trials(spec: ComponentSpec, rng: np.random.Generator) -> Trials:
    """Fresh inputs, once for each size that the spec names, and what the reference makes of them."""
    drawn = [spec.sample(rng, axes) for axes in spec.sizes()]
    return Trials(spec.kind, spec.limit, tuple((inputs, reference(spec, inputs)) for inputs in drawn))


def check(spec: ComponentSpec, path: Path, rng: np.random.Generator) -> tuple[Error | None, str | None]:
    """The error of the graph at `path` against the reference module, and what is wrong with it."""
    found = trials(spec, rng).compare(path)
    return found.error, found.problem


def reference(spec: ComponentSpec, inputs: Mapping[str, np.ndarray]) -> Tensors:
    """The outputs of the spec's reference module, in FP32 on the CPU."""
    module: nn.Module = (spec.module if spec.reference is None else spec.reference).eval()
    with torch.inference_mode():
        outputs = module(*(torch.from_numpy(array) for array in inputs.values()))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return {name: tensor.numpy() for name, tensor in zip(spec.outputs, outputs, strict=True)}


def difference(outputs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> Error:
    """The largest errors over all outputs."""
    error = Error(0.0, 0.0)
    for name, truth in expected.items():
        error |= _difference(outputs[name], truth)
    return error


def _difference(output: np.ndarray, truth: np.ndarray) -> Error:
    if output.shape != truth.shape or not (np.isfinite(output).all() and np.isfinite(truth).all()):
        return Error(np.inf, np.inf)
    absolute = float(np.abs(output.astype(np.float64) - truth).max(initial=0.0))
    largest = float(np.abs(truth).max(initial=0.0))
    return Error(absolute, absolute / largest if largest else absolute)


def golden(spec: ComponentSpec, rng: np.random.Generator) -> Tensors:
    """`KIND/in/NAME` and `KIND/out/NAME` for one small evaluation by the reference."""
    inputs = {name: _coarse(array) for name, array in spec.sample(rng, spec.sizes()[-1]).items()}
    outputs = {name: _rounded(array) for name, array in reference(spec, inputs).items()}
    return ({f"{spec.kind}/in/{name}": array for name, array in inputs.items()}
            | {f"{spec.kind}/out/{name}": array for name, array in outputs.items()})


def _coarse(array: np.ndarray) -> np.ndarray:
    """A large float tensor in sixteenths, each value held for 4 x 4 places of the last two axes."""
    if array.size <= GOLDEN_FINE or array.dtype != np.float32:
        return array
    held = np.repeat(np.repeat(array[..., ::4, ::4], 4, axis=-1), 4, axis=-2)
    return np.ascontiguousarray(np.rint(held[..., :array.shape[-2], :array.shape[-1]] * 16) / 16, np.float32)


def _rounded(array: np.ndarray) -> np.ndarray:
    step = np.float32(np.abs(array).max(initial=0.0) * GOLDEN_STEP)
    return np.rint(array / step) * step if step else array
