"""The one place that imports ONNX Runtime, so that its telemetry is off before the library starts.

ONNX Runtime from 1.29 on makes a device id and a database in the user's cache folder, and some ten seconds after it was
imported looks up a host to send events to. ORT_DISABLE_TELEMETRY, read once when the library starts, prevents all of it.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

from ..errors import BackendUnavailable

VARIABLE = "ORT_DISABLE_TELEMETRY"


def import_onnxruntime() -> ModuleType:
    """The package, silent unless the user has set ORT_DISABLE_TELEMETRY otherwise. BackendUnavailable if it cannot be imported.

    The variable stays set, for child processes. Where the host program has imported the package itself, it is too late.
    """
    silent = os.environ.setdefault(VARIABLE, "1").lower() not in ("", "0", "false")
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendUnavailable("the package onnxruntime cannot be imported", received=str(error),
                                 remedy="pip install onnxruntime") from error
    if silent and sys.platform == "win32":  # where it does not look at the variable
        onnxruntime.disable_telemetry_events()
    return onnxruntime
