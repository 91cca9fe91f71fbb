"""PyTorch's exporter parses the source of its whole table of operators for every model, a quarter of a small model's time: here once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from torch.onnx._internal.exporter._registration import ONNXRegistry

_original = vars(ONNXRegistry)["from_torchlib"]


@staticmethod  # type: ignore[misc]
@cache
def _table(opset_version: int) -> ONNXRegistry:
    return _original.__get__(None, ONNXRegistry)(opset_version=opset_version)


@contextmanager
def operators_parsed_once() -> Iterator[None]:
    """Exports inside share one table. Nothing may add operators of its own to it (`custom_translation_table`)."""
    ONNXRegistry.from_torchlib = _table
    try:
        yield
    finally:
        ONNXRegistry.from_torchlib = _original
