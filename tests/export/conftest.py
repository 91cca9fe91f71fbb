"""Packs that PyTorch exports, each once a run."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def exported_tiny(once: Callable[..., Path]) -> Callable[..., Path]:
    """A function from a precision to the pack of `export.tiny` in it; tests must not change what is there."""
    from meshwright.export import tiny

    return lambda precision: once(f"tiny-{precision.weights}-{precision.compute}", lambda path: tiny.build(path, precision=precision))
