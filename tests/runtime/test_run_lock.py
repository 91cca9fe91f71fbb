"""Closing a pipeline while it is in use: from the thread that uses it, from another, in the middle of a step."""

import threading

import pytest

from meshwright.runtime import Cancelled, InputError, Pipeline, Step
from meshwright.runtime.run_lock import RunLock

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
    lock, work = RunLock(), Work()
    work.go.set()
    run = lock.stream(work.run())
    assert next(run) == 1
    lock.close(work.close)
    assert work.ended and not work.open
    with pytest.raises(Cancelled, match="the pipeline was closed meanwhile"):
        next(run)
    assert list(lock.stream(work.run())) == [1, 2]


def test_a_step_that_is_being_computed_is_waited_for():
    lock, work, seen = RunLock(), Work(), []

    def use():
        with pytest.raises(Cancelled):
            seen.extend(lock.stream(work.run()))

    user = on_another_thread(use)
    assert work.computing.wait(30)
    closer = on_another_thread(lock.close, work.close)
    closer.join(0.1)
    assert closer.is_alive() and work.open
    work.go.set()
    for thread in (user, closer):
        thread.join(30)
    assert not work.open and not work.misused and work.ended and seen in ([], [1])


def test_a_change_hears_of_it_and_is_waited_for():
    lock, work = RunLock(), Work()

    def change(check):
        work.computing.set()
        while True:
            check()

    def use():
        with pytest.raises(Cancelled):
            lock.call(change)

    changer = on_another_thread(use)
    assert work.computing.wait(30)
    lock.close(work.close)
    changer.join(30)
    assert not changer.is_alive()
    lock.call(lambda check: check())


def test_what_is_under_way_cannot_close_the_pipeline_itself():
    lock = RunLock()
    with pytest.raises(InputError, match="cannot be closed from its own callback; raise Cancelled instead"):
        lock.call(lambda check: lock.close(pytest.fail))
    lock.close(lambda: None)


def test_an_abandoned_run_makes_room_for_the_next():
    lock, work = RunLock(), Work()
    work.go.set()
    run = lock.stream(work.run())
    next(run)
    with pytest.raises(InputError, match="busy with another run"):
        next(lock.stream(work.run()))
    del run
    assert work.ended and list(lock.stream(work.run())) == [1, 2]


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
