"""Tensors from a .safetensors file, believed as little as any file from elsewhere; bfloat16 too, which NumPy lacks.

Eight bytes say how long the header is; the header, in JSON, says dtype, shape and place of each tensor; the values follow.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...engines.errors import InputError

LENGTH = 8
MAX_HEADER_BYTES = 8 << 20
MAX_RANK = 16
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def parse(data: bytes, subject: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors by name in float32 or float64, C order, and the file's own notes. InputError that begins with `subject`."""
    try:
        header, start = _header(data)
        notes = header.pop("__metadata__", {})
        _check_places(header, len(data) - start)
        return {name: _tensor(data, start, name, entry) for name, entry in header.items()}, _texts(notes)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(f"{subject} is not a safetensors file, or is damaged",
                         received=f"{len(data)} bytes: {str(error)[:200]}") from error


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(data[:LENGTH], "little")
    if not 2 <= length <= min(MAX_HEADER_BYTES, len(data) - LENGTH):
        raise ValueError(f"a header of {length} bytes")
    header = json.loads(data[LENGTH:LENGTH + length].decode("utf-8"))
    if not isinstance(header, dict):
        raise ValueError("a header that is not an object")
    return header, LENGTH + length


def _check_places(header: Mapping[str, Any], size: int) -> None:
    """The tensors lie one behind the other and fill the file, as the format asks: none can claim what is another's as well."""
    at = 0
    for low, high, name in sorted((*entry["data_offsets"], name) for name, entry in header.items()):
        if low != at or high < low:
            raise ValueError(f"tensor {name!r} from byte {low} to {high}, where the one before it ends at {at}")
        at = high
    if at != size:
        raise ValueError(f"tensors that end at byte {at} of {size}")


def _tensor(data: bytes, start: int, name: str, entry: Mapping[str, Any]) -> np.ndarray:
    kind, shape, (low, high) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if kind not in DTYPES:
        raise ValueError(f"tensor {name!r} of type {kind}, where {', '.join(DTYPES)} are read")
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in (*shape, low, high)):
        raise ValueError(f"tensor {name!r} with shape {shape} at {low}, {high}")
    if len(shape) > MAX_RANK:
        raise ValueError(f"tensor {name!r} of {len(shape)} axes")
    count, dtype = math.prod(shape), np.dtype(DTYPES[kind])
    if high - low != count * dtype.itemsize or start + high > len(data):
        raise ValueError(f"tensor {name!r} of {shape} from byte {low} to {high}")
    stored = np.frombuffer(data, dtype, count, start + low).reshape(shape)
    if kind == "BF16":  # the upper half of a float32
        return (stored.astype(np.uint32) << 16).view(np.float32)
    return stored.astype(np.float64 if kind == "F64" else np.float32)


def _texts(notes: Any) -> dict[str, str]:
    return {str(key): value for key, value in notes.items() if isinstance(value, str)} if isinstance(notes, dict) else {}
