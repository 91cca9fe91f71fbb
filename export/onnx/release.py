"""Gives the memory of a network that is not needed any more back to the system."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress


def release() -> None:
    """Collect what refers to itself, as the tracer's graphs do, and hand free pages back.

    The C library keeps freed blocks of less than 32 MB for itself, which is most of a network. Where it has no
    function to let them go, nothing happens.
    """
    gc.collect()
    with suppress(AttributeError, OSError, TypeError):  # no glibc
        ctypes.CDLL(None).malloc_trim(0)
