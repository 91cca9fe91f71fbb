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

from ...engines import Engine, EngineSpec, open_engine
from ...engines.errors import MeshwrightError
from ..spec import NOISE, ComponentSpec

Tensors = dict[str, np.ndarray]
# Golden outputs are rounded to this part of their largest value, so that they compress; far below any tolerance.
GOLDEN_STEP = 2.0**-16
# Golden inputs of noise with more values than this are made coarse, for the same reason.
GOLDEN_FINE = 4096
# Of what the reference makes of a named case about this many values of each output are kept, evenly spread.
GOLDEN_SAMPLES = 4096


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

    cases : name, inputs and the reference's outputs; noise once for each size that the spec names, then the named cases
    """

    kind: str
    limit: float
    cases: tuple[tuple[str, Tensors, Tensors], ...]

    def compare(self, path: Path) -> Comparison:
        """Run the graph on every case. Without any the graph is read, and no more."""
        try:
            with open_engine(path, backend="onnxruntime" if self.cases else "null") as engine:
                errors = self._measure(engine)
                spec = engine.spec
        except MeshwrightError as problem:
            return Comparison(None, {}, f"{self.kind} ({path.name}): {problem}")
        beyond = [f"{error.rel:.3g} on {case}" for case, error in errors.items() if not error.rel <= self.limit]  # true of NaN
        return Comparison(spec, errors, f"{self.kind} ({path.name}): relative error {', '.join(beyond)}; at most {self.limit:.3g}"
                          if beyond else None)

    def _measure(self, engine: Engine) -> dict[str, Error]:
        errors: dict[str, Error] = {}
        for case, inputs, expected in self.cases:
            errors[case] = difference(engine.run(inputs), expected) | errors.get(case, Error(0.0, 0.0))
        return errors


@dataclass(frozen=True)
class Comparison:
    """What a graph gave. spec : its tensors; errors : by case, none if nothing was compared; problem : what is wrong, or None.

    A graph that does not run at all has neither spec nor errors.
    """

    spec: EngineSpec | None
    errors: dict[str, Error]
    problem: str | None

    @property
    def error(self) -> Error | None:
        """The largest of all cases."""
        return reduce(or_, self.errors.values()) if self.errors else None


def trials(spec: ComponentSpec, rng: np.random.Generator) -> Trials:
    """Fresh inputs and what the reference makes of them: noise for each size that the spec names, and the named cases."""
    drawn = [(NOISE, spec.sample(rng, axes)) for axes in spec.sizes()] + [(case, _given(spec, rng, case)) for case in spec.named_cases()]
    return Trials(spec.kind, spec.limit, tuple((case, inputs, reference(spec, inputs)) for case, inputs in drawn))


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


def golden(spec: ComponentSpec, rng: np.random.Generator, tried: Trials | None = None) -> Tensors:
    """One small evaluation of each case by the reference.

    tried : evaluations of the named cases that need not be made again
    KIND/in/NAME, KIND/out/NAME : of noise, whole tensors
    KIND/CASE/in/NAME : of a named case, whole
    KIND/CASE/out/NAME, KIND/CASE/stride/NAME : every stride-th value of the flattened output, and the stride
    """
    inputs = {name: _coarse(array) for name, array in spec.sample(rng, spec.sizes()[-1]).items()}
    outputs = {name: _rounded(array) for name, array in reference(spec, inputs).items()}
    found = _keyed(f"{spec.kind}/in", inputs) | _keyed(f"{spec.kind}/out", outputs)
    known = {case: (inputs, outputs) for case, inputs, outputs in (tried.cases if tried else ())}
    for case in spec.named_cases():
        inputs, outputs = known[case] if case in known else (given := _given(spec, rng, case), reference(spec, given))
        found |= _sampled(f"{spec.kind}/{case}", inputs, outputs)
    return found


def _given(spec: ComponentSpec, rng: np.random.Generator, case: str) -> Tensors:
    """Inputs of a named case; noise beside them is made coarse."""
    drawn = [(tensor, tensor.sample(rng, spec.axes_of(case), case)) for tensor in spec.inputs]
    return {tensor.name: array if case in tensor.cases else _coarse(array) for tensor, array in drawn}


def _sampled(where: str, inputs: Tensors, outputs: Tensors) -> Tensors:
    # Odd, so that the samples do not all fall on a few columns of a tensor whose sides are powers of two.
    strides = {name: -(-array.size // GOLDEN_SAMPLES) | 1 for name, array in outputs.items()}
    sampled = {name: _rounded(array.ravel()[::strides[name]]) for name, array in outputs.items()}
    return (_keyed(f"{where}/in", inputs) | _keyed(f"{where}/out", sampled)
            | _keyed(f"{where}/stride", {name: np.array(stride) for name, stride in strides.items()}))


def _keyed(prefix: str, tensors: Tensors) -> Tensors:
    return {f"{prefix}/{name}": array for name, array in tensors.items()}


def _coarse(array: np.ndarray) -> np.ndarray:
    """A large float tensor in sixteenths, each value held for 4 x 4 places of the last two axes."""
    if array.size <= GOLDEN_FINE or array.dtype != np.float32:
        return array
    held = np.repeat(np.repeat(array[..., ::4, ::4], 4, axis=-1), 4, axis=-2)
    return np.ascontiguousarray(np.rint(held[..., :array.shape[-2], :array.shape[-1]] * 16) / 16, np.float32)


def _rounded(array: np.ndarray) -> np.ndarray:
    step = np.float32(np.abs(array).max(initial=0.0) * GOLDEN_STEP)
    return np.rint(array / step) * step if step else array
