"""Lines go to workers and come back as results. Workers are processes of this machine, or actors of a Ray cluster."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from ...engines.errors import BackendError, MeshwrightError
from .manifest import FAILED
from .worker import Result, Work, entry_of

READY: Literal["ready"] = "ready"
# A line whose worker dies or hangs is tried once more, by another one.
MAX_LOSSES = 2
# Workers that die one after the other before any is ready: it is not chance.
MAX_FAILED_STARTS = 3


@dataclass(frozen=True)
class Lost:
    """A worker has ended. how : in words"""

    how: str


# What a worker says: that it has opened the pack; what kept it from that, which ends the batch; a line's result.
Answer = Literal["ready"] | MeshwrightError | Result | Lost


class Worker(Protocol):
    """Makes one line at a time."""

    def send(self, work: Work) -> None:
        """Let it make this line. Never raises: a worker that has ended says so as its answer."""

    def end(self) -> None:
        """End it at once. It writes nothing that could be left half done."""


W = TypeVar("W", bound=Worker)


class Workers(Protocol[W]):
    """Where workers are started, and heard."""

    def room(self) -> int:
        """How many workers there may be now."""

    def start(self) -> W:
        """A new worker; it is READY, or an error, later."""

    def answers(self, workers: Sequence[W], seconds: float) -> Sequence[tuple[W, Answer]]:
        """What these workers say, at most one answer of each; waits for the first, `seconds` long at the most (math.inf: as it takes).

        After Lost, a worker says nothing more.
        """


def results(waiting: Sequence[Work], workers: Workers[W], timeout: float) -> Iterator[Result]:
    """The results, each line's once, as they come. Workers that die are replaced, and those that take longer than `timeout` seconds.

    A line that has lost two workers has failed. Errors: what a worker says of the pack; BackendError if none can be started.
    """
    crew = _Crew(waiting, workers, timeout)
    try:
        while crew.left:
            crew.recruit()
            yield from crew.heard()
            crew.hand_out()
    finally:
        crew.end()


@dataclass
class _Post:
    """What a worker is at. ends : when it has taken too long"""

    ready: bool = False
    task: Work | None = None
    ends: float = math.inf


class _Crew(Generic[W]):
    def __init__(self, waiting: Sequence[Work], workers: Workers[W], timeout: float) -> None:
        self.left = len(waiting)
        self._tasks, self._workers, self._timeout = deque(waiting), workers, timeout
        self._posts: dict[W, _Post] = {}
        self._losses, self._failed_starts = Counter[str](), 0

    def recruit(self) -> None:
        """As many workers as there is room for, and lines."""
        while len(self._posts) < min(self._workers.room(), self.left):
            self._posts[self._workers.start()] = _Post()

    def heard(self) -> Iterator[Result]:
        """What comes next, if anything does before a worker is overdue."""
        soonest = min((post.ends for post in self._posts.values()), default=math.inf)
        for worker, answer in self._workers.answers(tuple(self._posts), max(0.0, soonest - time.monotonic())):
            if isinstance(answer, MeshwrightError):
                raise answer
            if isinstance(answer, Lost):
                yield from self._lost(worker, answer.how)
                continue
            post = self._posts[worker]
            post.ready, self._failed_starts = True, 0
            if answer != READY:
                post.task, post.ends = None, math.inf
                self.left -= 1
                yield answer
        now = time.monotonic()
        for worker in [worker for worker, post in self._posts.items() if post.ends <= now]:
            yield from self._lost(worker, f"took longer than {self._timeout:g} s")

    def hand_out(self) -> None:
        """A line to each worker that has none."""
        for worker, post in self._posts.items():
            if post.ready and post.task is None and self._tasks:
                post.task, post.ends = self._tasks.popleft(), time.monotonic() + self._timeout
                worker.send(post.task)

    def end(self) -> None:
        """End all workers."""
        for worker in self._posts:
            worker.end()

    def _lost(self, worker: W, how: str) -> Iterator[Result]:
        """What becomes of the line that a lost worker was at: it comes next, or has failed."""
        worker.end()
        post = self._posts.pop(worker)
        if not post.ready:
            self._failed_starts += 1
            if self._failed_starts == MAX_FAILED_STARTS:
                raise BackendError("the workers of the batch end while they open the pack", received=how)
        if post.task is None:
            return
        line, request = post.task
        self._losses[line.name] += 1
        if self._losses[line.name] < MAX_LOSSES:
            self._tasks.appendleft(post.task)
        else:
            self.left -= 1
            yield {**entry_of(line), "request": request, "state": FAILED, "error": f"its worker {how}, as one did before"}, {}
