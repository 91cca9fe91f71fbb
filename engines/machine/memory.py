"""The memory of this machine, or of the container that the process is in, and the most that this process had of it."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MEMINFO, OWN_GROUP, GROUPS = Path("/proc/meminfo"), Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
# File of the limit, and of the statistics with the line that counts what cannot be dropped: version 2, version 1.
UNIFIED, DIVIDED = ("memory.max", "anon"), ("memory.limit_in_bytes", "total_rss")
STATUS, REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")
# What Linux takes as "start the high-water mark anew" (proc_pid_clear_refs(5)).
RESET = "5"


def total_bytes() -> int | None:
    """Installed, or what the container may have where that is less; None where the system does not say."""
    installed = _installed()
    return installed if installed is None else min([installed, *(limit for limit, _ in limits())])


def available_bytes() -> int | None:
    """What a program can have now without swapping; None where the system does not say."""
    available = _meminfo("MemAvailable") if sys.platform == "linux" else _windows()[1] if sys.platform == "win32" else None
    return available if available is None else min([available, *(max(0, limit - used) for limit, used in limits())])


def limits() -> Iterator[tuple[int, int]]:
    """(limit, used) in bytes for each control group around this process that has a limit."""
    for line in OWN_GROUP.read_text().splitlines() if OWN_GROUP.is_file() else []:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            root, (limit, used) = GROUPS / controllers, UNIFIED if not controllers else DIVIDED
            inner = root / path.lstrip("/")
            # Inside a container its own group is often shown as the root.
            for folder in [inner, *inner.parents] if inner.is_relative_to(root) else []:
                if folder.is_relative_to(root) and (found := _limit(folder, limit, used)) is not None:
                    yield found


def _limit(folder: Path, limit: str, used: str) -> tuple[int, int] | None:
    try:
        most = (folder / limit).read_text().strip()
        counted = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return None if most == "max" else (int(most), int(counted[used]))
    except (OSError, ValueError, KeyError):
        return None


def _installed() -> int | None:
    if sys.platform == "win32":
        return _windows()[0]
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _meminfo(name: str) -> int | None:
    for line in MEMINFO.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of Windows."""

    _fields_ = [("length", ctypes.c_uint32), ("load", ctypes.c_uint32),
                *((name, ctypes.c_uint64) for name in ("total", "available", "total_page", "available_page", "total_virtual",
                                                       "available_virtual", "available_extended"))]


def _windows() -> tuple[int | None, int | None]:
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):  # type: ignore[attr-defined]  # of Windows only
        return None, None
    return status.total, status.available


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
