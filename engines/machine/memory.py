"""The most memory that this process had since it was asked to watch."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

STATUS, REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")
# What Linux takes as "start the high-water mark anew" (proc_pid_clear_refs(5)).
RESET = "5"


def reset_peak() -> None:
    """Start the mark anew from what is resident now, where the system can do that."""
    with suppress(OSError):
        REFERENCES.write_text(RESET)


def peak_bytes() -> int | None:
    """Resident bytes at the highest, pages of mapped files included: since `reset_peak` on Linux, since the process
    began on other systems that tell, else None."""
    with suppress(OSError):
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
