"""Events of a task as they happen, as server-sent events (HTML, section 9.2): each with its id, so that a client goes on where it was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from .store import PENDING, TaskStore

# Seconds: without anything new a comment is sent, so that a connection that is gone is noticed; and the store is looked at again.
HEARTBEAT = 10.0
END = "end"


class Hub:
    """Wakes whoever waits for news of a task, or of the queue, from any thread."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closing = False

    def start(self) -> None:
        """Called within the loop that the waiting is done in."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Let all streams end. For any thread."""
        self.closing = True
        self._call(lambda: [event for events in self._waiting.values() for event in events])

    def wake(self, id: str) -> None:
        """There is something new of a task; "" for the queue. For any thread."""
        self._call(lambda: list(self._waiting.get(id, ())))

    @contextmanager
    def waiting(self, *ids: str) -> Iterator[asyncio.Event]:
        """An event that is set with every piece of news of these."""
        event = asyncio.Event()
        for id in ids:
            self._waiting.setdefault(id, set()).add(event)
        try:
            yield event
        finally:
            for id in ids:
                self._waiting[id].discard(event)
                if not self._waiting[id]:
                    del self._waiting[id]

    @property
    def streams(self) -> int:
        """How many wait."""
        return len({id(event) for events in self._waiting.values() for event in events})

    def _call(self, which: Callable[[], list[asyncio.Event]]) -> None:
        """Set events, within the loop."""
        def set_all() -> None:
            for event in which():
                event.set()

        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(set_all)


async def task_events(store: TaskStore, hub: Hub, id: str, after: int) -> AsyncIterator[bytes]:
    """Everything behind the event of id `after`; ends with the task.

    While the task waits, an event "queue" without an id says how many are before it.
    """
    position = -1
    with hub.waiting(id, "") as news:
        while not hub.closing:
            news.clear()
            for event in store.events(id, after):
                after = event.id
                yield f"id: {event.id}\nevent: {event.type}\ndata: {event.data}\n\n".encode()
                if event.type == END:
                    return
            task = store.get(id)
            if task is None:
                return
            if task.state == PENDING and (now := store.position(task)) != position:
                position = now
                yield f"event: queue\ndata: {json.dumps({'position': position})}\n\n".encode()
            elif task.ended is not None and not store.events(id, after):
                return  # the client has seen the end already
            try:
                await asyncio.wait_for(news.wait(), HEARTBEAT)
            except TimeoutError:
                yield b": still here\n\n"


async def ended(store: TaskStore, hub: Hub, id: str) -> None:
    """Wait until a task has ended, or the server does."""
    with hub.waiting(id) as news:
        while not hub.closing and (task := store.get(id)) is not None and task.ended is None:
            try:
                await asyncio.wait_for(news.wait(), HEARTBEAT)
            except TimeoutError:
                pass
            news.clear()
