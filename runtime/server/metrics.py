"""Figures of a running server in Prometheus' text format, version 0.0.4."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from .service import Service

# Of the tasks that ended last.
RECENT = 1000


def metrics(service: Service) -> str:
    """Tasks by state, seconds by stage, workers and memory."""
    lines: list[str] = []

    def family(name: str, kind: str, about: str, values: Mapping[str, float]) -> None:
        lines.extend((f"# HELP meshwright_{name} {about}", f"# TYPE meshwright_{name} {kind}"))
        lines.extend(f"meshwright_{name}{labels} {value:g}" for labels, value in values.items())

    counts = service.store.counts()
    family("tasks", "gauge", "Tasks that are known, by state.", {f'{{state="{state.lower()}"}}': count for state, count in counts.items()})
    seconds: defaultdict[str, float] = defaultdict(float)
    runs: defaultdict[str, int] = defaultdict(int)
    for task in service.store.ended(RECENT):
        for stage, took in task.timings.items():
            seconds[stage] += took
            runs[stage] += 1
    family("stage_seconds_mean", "gauge", f"Mean seconds of each stage, of the last {RECENT} tasks.",
           {f'{{stage="{stage}"}}': seconds[stage] / runs[stage] for stage in seconds})
    family("workers_ready", "gauge", "Workers that take tasks.", {"": service.supervisor.ready})
    family("worker_restarts_total", "counter", "Workers that were replaced.", {"": service.supervisor.restarts})
    family("event_streams", "gauge", "Clients that follow events.", {"": service.hub.streams})
    memory = {f'{{process="{name}"}}': resident for name, pid in (("server", "self"), *(
        (f"worker {i}", str(pid)) for i, pid in enumerate(service.supervisor.processes()))) if (resident := _resident(pid)) is not None}
    if memory:
        family("resident_bytes", "gauge", "Memory of each process.", memory)
    return "\n".join(lines) + "\n"


def _resident(pid: str) -> int | None:
    """Bytes of memory that a process has; None where the system does not tell."""
    if sys.platform != "linux":
        return None
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    except (OSError, ValueError, IndexError):
        return None
