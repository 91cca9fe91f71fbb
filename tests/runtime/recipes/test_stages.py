"""A loop on a thread of its own, seen as a generator."""

import threading

import pytest

from meshwright.runtime import Cancelled, Step
from meshwright.runtime.recipes.stages import iterate_steps


def drain(generator):
    """What a generator yields, and what it returns."""
    seen = []
    while True:
        try:
            seen.append(next(generator))
        except StopIteration as end:
            return seen, end.value


def test_steps_come_out_and_the_result_is_returned():
    def work(on_step):
        for i in range(3):
            on_step(i + 1, 3)
        return "done"

    assert drain(iterate_steps("loop", work)) == ([Step("loop", 1, 3), Step("loop", 2, 3), Step("loop", 3, 3)], "done")


def test_closing_stops_the_work_at_its_next_step():
    reached, go_on, ended = [], threading.Event(), []

    def work(on_step):
        try:
            for i in range(1000):
                reached.append(i)
                on_step(i + 1, 1000)
                go_on.wait(10)
        except Cancelled:
            ended.append(True)
            raise

    steps = iterate_steps("loop", work)
    assert next(steps) == Step("loop", 1, 1000)
    threading.Timer(0.05, go_on.set).start()
    steps.close()
    assert ended == [True] and len(reached) <= 2
    assert not [thread for thread in threading.enumerate() if thread.name == "meshwright-steps"]


def test_errors_of_the_work_are_raised_where_it_is_waited_for():
    def work(on_step):
        on_step(1, 2)
        raise ZeroDivisionError("of the work")

    steps = iterate_steps("loop", work)
    next(steps)
    with pytest.raises(ZeroDivisionError, match="of the work"):
        next(steps)
