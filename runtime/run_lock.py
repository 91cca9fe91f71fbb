"""One use of a pipeline at a time, which whoever closes the pipeline ends first, from whatever thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from ..engines.errors import Cancelled, InputError

T = TypeVar("T")


class RunLock:
    """Hands the models out: to one run, step by step, or to one change in one piece."""

    def __init__(self) -> None:
        # Held while the models are in use: not between two events of a run. Taken by plain `with`s alone: Ctrl-C that comes between
        # the lines of a context manager's own code would leave it taken.
        self._lock = threading.RLock()
        self._holder: int | None = None  # the thread that holds it
        self._guard = threading.Lock()  # of the next one alone
        self._use: _Use | None = None

    def stream(self, run: Generator[T, None, None]) -> Generator[T, None, None]:
        """The events of `run`, which is closed in the end. InputError while there is another use, Cancelled once `close` was called."""
        use = self._begin(run)
        try:
            while True:
                with self._lock:
                    self._check(use)
                    self._holder = threading.get_ident()
                    try:
                        event = next(run)
                    except StopIteration:
                        return
                    finally:
                        self._holder = None
                yield event
        finally:
            if self._use is use:  # else `close` has closed it
                with self._lock:
                    run.close()
                self._finish(use)

    def call(self, change: Callable[[Callable[[], None]], None]) -> None:
        """Do a change in one piece. It gets what it is to call from time to time: that raises Cancelled once `close` was called.

        InputError while there is another use.
        """
        use = self._begin(None)
        try:
            with self._lock:
                self._holder = threading.get_ident()
                try:
                    change(lambda: self._check(use))
                finally:
                    self._holder = None
        finally:
            self._finish(use)

    def close(self, then: Callable[[], None]) -> None:
        """End what is under way, wait for the step that is being computed, and call `then` before anything else may begin.

        InputError where the use itself, in its turn, asks for this.
        """
        if self._holder == threading.get_ident():
            raise InputError("the pipeline cannot be closed from its own callback", remedy="raise Cancelled instead")
        with self._guard:
            use, self._use = self._use, None
        with self._lock:
            if use is not None and use.run is not None:
                use.run.close()
            then()

    def _begin(self, run: Generator[Any, None, None] | None) -> _Use:
        with self._guard:
            if self._use is not None:
                raise InputError("the pipeline is busy with another run", remedy="finish or close that one, or open a second Pipeline")
            self._use = _Use(run)
            return self._use

    def _finish(self, use: _Use) -> None:
        with self._guard:
            if self._use is use:
                self._use = None

    def _check(self, use: _Use) -> None:
        if self._use is not use:
            raise Cancelled("the pipeline was closed meanwhile")


class _Use:
    """run : None for a change in one piece."""

    def __init__(self, run: Generator[Any, None, None] | None) -> None:
        self.run = run
