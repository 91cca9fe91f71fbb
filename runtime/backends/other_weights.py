"""A component with other weights than its file's, on a GPU: how TensorRT gets them, and whether the results are right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from ...engines import DeviceMemory, Engine, LoopOptions, open_engine
from ...engines.errors import BackendError, DeviceLost
from ..pack.golden import Golden, compare_outputs
from ..pack.manifest import Component
from ..pack.pack import Pack
from .candidates import Candidate

if TYPE_CHECKING:
    from ...engines.cache.cache import Entry
    from .pack_engines import OnBuild, PackEngines

Weights = Mapping[str, np.ndarray]


def open_with(candidate: Candidate, pack: Pack, component: Component, weights: Weights, memory: DeviceMemory, engines: PackEngines,
              notify: Callable[[str], None], on_build: OnBuild, loop: LoopOptions) -> tuple[Engine, Entry]:
    """TensorRT's engine with these weights: refitted where it was built for that, else built anew, which `notify` is told. With it,
    what it is in the cache.

    A refitted engine may calculate wrongly (TensorRT's documentation warns of it), so it is checked before it counts.
    Raises as `EngineLoader.load` and `open_engine` do; BackendError for an engine whose results are wrong.
    """
    why = "cannot be refitted"
    entry = engines.refittable(candidate.backend, component) or candidate.entry
    assert entry is not None  # as this candidate is a product of TensorRT
    engine = engines.load(entry, component, memory, loop)
    try:
        if engine.refit(weights):
            check_against_cpu(engine, pack, component, weights)
            return engine, entry
    except DeviceLost:
        engine.close()
        raise
    except BackendError as error:
        why = f"cannot be refitted: {error}"
    except BaseException:
        engine.close()
        raise
    engine.close()
    notify(f"the engine of {component.name} on {candidate.backend} {why}; one with the new weights is built, or taken from the cache")
    entry = engines.with_weights(candidate.backend, component, weights, notify, on_build)
    return checked(engines.load(entry, component, memory, loop), pack, component, weights), entry


def checked(engine: Engine, pack: Pack, component: Component, weights: Weights) -> Engine:
    """The engine, which gives what the processor gives with the same weights; closed where it does not, as this raises."""
    try:
        check_against_cpu(engine, pack, component, weights)
    except BaseException:
        engine.close()
        raise
    return engine


def check_against_cpu(engine: Engine, pack: Pack, component: Component, weights: Weights) -> None:
    """Replay the golden inputs here and on ONNX Runtime's CPU provider. BackendError if the results differ by more than the
    component's tolerance."""
    inputs = Golden(pack).inputs(component)
    with open_engine(pack.path(component.file), weights=weights) as reference:
        expected = reference.run(inputs)
    check = compare_outputs(engine.run(inputs), expected, component)
    if not check.passed:
        raise BackendError(f"{component.name} with other weights differs from the CPU's results",
                           received=f"relative error {check.relative:.2g}", expected=f"at most {check.tolerance:.2g}")
