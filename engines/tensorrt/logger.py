"""What TensorRT says of errors, kept for our messages."""

from __future__ import annotations

from types import ModuleType
from typing import Any

SILENT = "TensorRT gave no reason"


def logger(trt: ModuleType) -> Any:
    """Keeps the last few errors. Made here, because its base class is the vendor's."""

    base: Any = trt.ILogger

    class Logger(base):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self._errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self._errors = [*self._errors[-2:], " ".join(message.split())]

        def errors(self) -> str:
            """Since the last time that they were asked for."""
            found, self._errors = " | ".join(dict.fromkeys(self._errors)), []
            return found or SILENT

    return Logger()
