"""Lines about an export, for a terminal or a log."""

from __future__ import annotations

from typing import TextIO

from .events import ComponentDone, Event


class Lines:
    """Writes a line when a component starts and one when it is done; `count` : of all components, if the events do not tell."""

    def __init__(self, stream: TextIO, count: int | None = None) -> None:
        self._stream, self._count = stream, count

    def __call__(self, event: Event) -> None:
        count = event.count or self._count
        place = f"{event.number}/{count}" if count else str(event.number)
        print(f"{place} {event.kind}{facts(event) if isinstance(event, ComponentDone) else ' ...'}", file=self._stream, flush=True)


def facts(event: ComponentDone) -> str:
    """Such as ": 865,922,244 parameters, 1732.5 MB, relative error 3.0e-06, 61 s, peak 9.1 GB"."""
    said = [f"{event.parameters:,} parameters", f"{event.bytes / 1e6:,.1f} MB"]
    said += [f"relative error {event.error.rel:.1e}"] if event.error else []
    said += [f"{event.seconds:.1f} s"]
    said += [f"peak {event.peak_bytes / 1e9:.2f} GB"] if event.peak_bytes else []
    return f": {', '.join(said)}"
