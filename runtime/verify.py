"""Replays a pack's golden inputs on this machine and compares with the outputs of the reference."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..engines.errors import MeshwrightError, PackFormat
from .manifest import Component
from .models import Models


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


def verify_pack(models: Models) -> Iterator[Check]:
    """Yield one `Check` for each component of the pack, in the order of `pack.json`."""
    golden = _load(models)
    for component in models.pack.manifest.components.values():
        try:
            yield _check(models, component, golden)
        except MeshwrightError as error:
            yield Check(component.name, np.inf, np.inf, component.tolerance, str(error))


def _load(models: Models) -> dict[str, np.ndarray]:
    path = models.pack.path("golden.npz")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise PackFormat("golden.npz cannot be read", received=str(error)) from error


def _check(models: Models, component: Component, golden: dict[str, np.ndarray]) -> Check:
    inputs = _named(golden, f"{component.name}/in/")
    expected = _named(golden, f"{component.name}/out/")
    if not expected:
        return Check(component.name, np.inf, np.inf, component.tolerance, "golden.npz has nothing for it")
    outputs = models.engine(component.kind).run(inputs)
    errors = [_errors(outputs[name], reference) for name, reference in expected.items()]
    return Check(component.name, max(e[0] for e in errors), max(e[1] for e in errors), component.tolerance)


def _named(golden: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(prefix): value for key, value in golden.items() if key.startswith(prefix)}


def _errors(output: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Relative and absolute error; infinite where shapes differ or a value is not a number."""
    if output.shape != reference.shape or not np.isfinite(output).all():
        return np.inf, np.inf
    absolute = float(np.abs(output.astype(np.float64) - reference).max(initial=0.0))
    largest = float(np.abs(reference).max(initial=0.0))
    return (absolute / largest if largest else absolute), absolute
