"""A pack's golden inputs, and how far what an engine makes of them is from the reference's outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...engines import Engine
from ...engines.errors import PackFormat
from ...engines.files.array_archive import ArrayArchive
from .manifest import Component
from .pack import Pack

Tensors = Mapping[str, np.ndarray]
FILE = "golden.npz"


@dataclass(frozen=True)
class Check:
    """How far one component is off. relative : max |a - b| / max |b|, the largest of its outputs."""

    component: str
    relative: float
    absolute: float
    tolerance: float
    problem: str = ""

    @property
    def passed(self) -> bool:
        """False also for NaN, which no comparison accepts."""
        return not self.problem and self.relative <= self.tolerance


class Golden:
    """The arrays of one pack's `golden.npz`, each read when it is asked for. PackFormat for a file that is no such thing."""

    def __init__(self, pack: Pack) -> None:
        self._archive = ArrayArchive(pack.path(FILE), FILE, PackFormat)

    def replay(self, engine: Engine, component: Component) -> Check:
        """Run the component's inputs on an engine of it, noise and then each of its cases; the worst is what counts.

        Raises what the engine raises.
        """
        expected = self.outputs(component)
        if not expected:
            return Check(component.name, np.inf, np.inf, component.tolerance, f"{FILE} has no entry for it")
        worst = compare_outputs(engine.run(self.inputs(component)), expected, component)
        for case in self.cases(component):
            found = self._replay_case(engine, component, case)
            worst = found if worst.passed and not found.relative <= worst.relative else worst
        return worst

    def cases(self, component: Component) -> tuple[str, ...]:
        """What users give, by the name that pack.json has for its error; none in packs of older exporters."""
        parts = (key.removeprefix(f"{component.name}/").split("/") for key in self._archive.names if key.startswith(f"{component.name}/"))
        return tuple(dict.fromkeys(part[0] for part in parts if len(part) == 3 and part[1] in ("in", "out")))

    def _replay_case(self, engine: Engine, component: Component, case: str) -> Check:
        """Of large outputs the file holds every so many values of the flattened tensor."""
        inputs, expected, strides = (self._named(f"{component.name}/{case}/{part}/") for part in ("in", "out", "stride"))
        if not expected:
            return Check(component.name, np.inf, np.inf, component.tolerance, f"{FILE} has no outputs for {case}")
        outputs = {name: value.ravel()[::_stride(strides, name)] for name, value in engine.run(inputs).items()}
        return compare_outputs(outputs, expected, component)

    def inputs(self, component: Component) -> dict[str, np.ndarray]:
        """What the component is asked, by name."""
        return self._named(f"{component.name}/in/")

    def outputs(self, component: Component) -> dict[str, np.ndarray]:
        """What the reference made of that, by name; empty where the file has no entry for it."""
        return self._named(f"{component.name}/out/")

    def _named(self, prefix: str) -> dict[str, np.ndarray]:
        found = self._archive.read([name for name in self._archive.names if name.startswith(prefix)])
        return {name.removeprefix(prefix): array for name, array in found.items()}


def compare_outputs(outputs: Tensors, expected: Tensors, component: Component) -> Check:
    """How far a component's outputs are from those that were expected."""
    lacking = [name for name in expected if name not in outputs]
    if lacking:
        return Check(component.name, np.inf, np.inf, component.tolerance, f"{FILE} has an output that the model lacks: {lacking[0]}")
    errors = [_errors(outputs[name], reference) for name, reference in expected.items()]
    return Check(component.name, max(e[0] for e in errors), max(e[1] for e in errors), component.tolerance)


def _stride(strides: Tensors, name: str) -> int:
    stride = strides.get(name, np.array(1))
    if stride.shape or stride.dtype.kind not in "iu" or stride < 1:
        raise PackFormat(f"{FILE} has no stride for an output", received=f"{name}: {stride!r}", expected="a positive integer")
    return int(stride)


def _errors(output: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Relative and absolute error; infinite where shapes differ or a value is not a number. reference : of any dtype"""
    if output.shape != reference.shape or reference.dtype.kind not in "fiub" or not np.isfinite(output).all():
        return np.inf, np.inf
    absolute = float(np.abs(output.astype(np.float64) - reference).max(initial=0.0))
    largest = float(np.abs(reference).max(initial=0.0))
    return (absolute / largest if largest else absolute), absolute
