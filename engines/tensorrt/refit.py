"""Gives a loaded TensorRT engine other weights, where it was built so that it can have them: a second or two, not a new build."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import BackendError

MAX_LISTED = 5
BUILD = "an engine with these weights has to be built"


def refit(trt: ModuleType, engine: Any, said: Any, weights: Mapping[str, np.ndarray], name: str) -> None:
    """Put `weights`, by the names that they have in the model file, in the place of the engine's. Nothing may be running on it.

    said : the engine's logger. name : of the plan
    Raises BackendError if one of them is not to be had; the engine is of no use then.
    """
    refitter = trt.Refitter(engine, said)
    unknown = list(weights.keys() - set(refitter.get_all_weights()))
    if unknown:
        raise BackendError(f"{name} was built without weights that can be replaced", received=_listed(unknown), remedy=BUILD)
    # Kept until the end: the refitter reads the arrays where they lie.
    held = {weight: np.ascontiguousarray(value) for weight, value in weights.items()}
    for weight, value in held.items():
        if not refitter.set_named_weights(weight, trt.Weights(value)):
            raise BackendError(f"{name} rejects new values for {weight}", received=said.taken(), remedy=BUILD)
    missing = refitter.get_missing_weights()
    if missing:  # TensorRT merged them with some of those that are replaced
        raise BackendError(f"{name} cannot be refitted with these weights alone", received=_listed(missing), remedy=BUILD)
    if not refitter.refit_cuda_engine():
        raise BackendError(f"{name} cannot be refitted", received=said.taken(), remedy=BUILD)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(sorted(names)[:MAX_LISTED]) + more
