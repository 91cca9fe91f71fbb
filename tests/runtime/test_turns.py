"""Closing a pipeline while it is in use: from the thread that uses it, from another, in the middle of a step."""

import threading

import pytest

from meshwright.runtime import Cancelled, InputError, Pipeline, Step
from meshwright.runtime.turns import Turns

FAST = {"texture": 64, "faces": 500}


class Work:
    """Events 1 and 2, each computed when `go` is set. open : whether the models may be used; used : whether they ever were when not."""

    def __init__(self):
        self.go, self.computing = threading.Event(), threading.Event()
        self.open, self.misused, self.ended = True, False, False

    def run(self):
        try:
            for number in (1, 2):
                self.computing.set()
                self.go.wait(30)
                self.misused |= not self.open
                yield number
        finally:
            self.ended = True

    def close(self):
        self.open = False


def on_another_thread(work, *arguments):
    thread = threading.Thread(target=work, args=arguments)
    thread.start()
    return thread


def test_a_run_between_two_events_is_ended():
    turns, work = Turns(), Work()
    work.go.set()
    run = turns.steps(work.run())
    assert next(run) == 1
    turns.end(work.close)
    assert work.ended and not work.open
    with pytest.raises(Cancelled, match="the pipeline was closed meanwhile"):
        next(run)
    assert list(turns.steps(work.run())) == [1, 2]


def test_a_step_that_is_being_computed_is_waited_for():
    turns, work, seen = Turns(), Work(), []

    def use():
        with pytest.raises(Cancelled):
            seen.extend(turns.steps(work.run()))

    user = on_another_thread(use)
    assert work.computing.wait(30)
    closer = on_another_thread(turns.end, work.close)
    closer.join(0.1)
    assert closer.is_alive() and work.open
    work.go.set()
    for thread in (user, closer):
        thread.join(30)
    assert not work.open and not work.misused and work.ended and seen in ([], [1])


def test_a_change_hears_of_it_and_is_waited_for():
    turns, work = Turns(), Work()

    def change(check):
        work.computing.set()
        while True:
            check()

    def use():
        with pytest.raises(Cancelled):
            turns.alone(change)

    changer = on_another_thread(use)
    assert work.computing.wait(30)
    turns.end(work.close)
    changer.join(30)
    assert not changer.is_alive()
    turns.alone(lambda check: check())


def test_what_is_under_way_cannot_close_the_pipeline_itself():
    turns = Turns()
    with pytest.raises(InputError, match="cannot be closed by what it is doing; raise Cancelled instead"):
        turns.alone(lambda check: turns.end(pytest.fail))
    turns.end(lambda: None)


def test_an_abandoned_run_makes_room_for_the_next():
    turns, work = Turns(), Work()
    work.go.set()
    run = turns.steps(work.run())
    next(run)
    with pytest.raises(InputError, match="busy with another run"):
        next(turns.steps(work.run()))
    del run
    assert work.ended and list(turns.steps(work.run())) == [1, 2]


def test_a_callback_may_close_the_pipeline(tiny):
    with Pipeline.open(tiny, threads=1) as pipe:
        with pytest.raises(Cancelled, match="closed meanwhile"):
            pipe.generate("a red chair", on_event=lambda event: pipe.close() if isinstance(event, Step) else None, **FAST)
        assert pipe.models._engines == {}
        assert pipe.generate("a red chair", **FAST).mesh is not None


def test_another_thread_may_close_the_pipeline(tiny):
    with Pipeline.open(tiny, threads=1) as pipe:
        closers = []

        def close_once(event):
            if isinstance(event, Step) and not closers:
                closers.append(on_another_thread(pipe.close))

        with pytest.raises(Cancelled, match="closed meanwhile"):
            pipe.generate("a red chair", on_event=close_once, prior_steps=300, **FAST)
        closers[0].join(30)
        assert pipe.models._engines == {}
