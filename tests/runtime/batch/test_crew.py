"""Lines and workers that come and go, by workers that are scripted: what real ones do is in test_batch and test_ray."""

import math
import time
from collections import deque

import pytest

from meshwright.engines.errors import BackendError, PackNotFound
from meshwright.runtime.batch import Line
from meshwright.runtime.batch.crew import READY, Lost, results

LINES = [Line(name, number, name, {"seed": 0}) for number, name in enumerate("abcd", 1)]
WORK = [(line, "hash") for line in LINES]


class Scripted:
    """A worker. script : what it says next, "made" for the line that it was sent, "hangs" for nothing"""

    def __init__(self, script):
        self.script, self.task, self.ended = deque(script), None, False

    def send(self, work):
        assert self.task is None and not self.ended
        self.task = work

    def end(self):
        self.ended = True

    def say(self):
        if not self.script or self.script[0] == "hangs" or self.script[0] == "made" and self.task is None:
            return None
        said = self.script.popleft()
        if said == "made":
            (line, request), self.task = self.task, None
            return {"name": line.name, "state": "made", "request": request}, {}
        return said


class Workers:
    def __init__(self, *scripts, room=1):
        self.scripts, self.places, self.started = deque(scripts), room, []

    def room(self):
        return self.places

    def start(self):
        self.started.append(Scripted(self.scripts.popleft()))
        return self.started[-1]

    def answers(self, workers, seconds):
        said = [(worker, answer) for worker in workers if (answer := worker.say()) is not None]
        if not said:
            assert not math.isinf(seconds), "nothing will ever be said"
            time.sleep(seconds)
        return said


def made(workers, timeout=math.inf):
    found = [(entry["name"], entry["state"]) for entry, _ in results(WORK, workers, timeout)]
    assert all(worker.ended for worker in workers.started)
    return found


def test_each_line_is_made_once_by_as_many_workers_as_there_is_room_for():
    workers = Workers([READY, *["made"] * 4], [READY, *["made"] * 4], room=2)
    assert sorted(made(workers)) == [(name, "made") for name in "abcd"] and len(workers.started) == 2
    # Not more than lines.
    workers = Workers(*[[READY, *["made"] * 4]] * 4, room=9)
    assert len(made(workers)) == 4 and len(workers.started) == 4


def test_a_lost_worker_is_replaced_and_its_line_comes_next():
    workers = Workers([READY, "made", Lost("ended by signal 9")], [READY, *["made"] * 3])
    assert made(workers) == [(name, "made") for name in "abcd"]


def test_a_line_that_loses_two_workers_has_failed():
    workers = Workers([READY, Lost("ended")], [READY, Lost("ended by signal 11")], [READY, *["made"] * 3])
    found = {entry["name"]: entry for entry, _ in results(WORK, workers, math.inf)}
    assert found["a"] == {"name": "a", "line": 1, "prompt": "a", "seed": 0, "request": "hash", "state": "failed",
                          "error": "its worker ended by signal 11, as one did before"}
    assert [found[name]["state"] for name in "bcd"] == ["made"] * 3


def test_a_worker_that_hangs_is_ended_and_replaced():
    workers = Workers([READY, "made", "hangs"], [READY, "hangs"], [READY, *["made"] * 2])
    found = {entry["name"]: entry for entry, _ in results(WORK, workers, 0.05)}
    assert found["b"]["error"] == "its worker took longer than 0.05 s, as one did before"
    assert [found[name]["state"] for name in "acd"] == ["made"] * 3 and all(worker.ended for worker in workers.started)


def test_a_worker_without_a_line_may_be_lost():
    workers = Workers([READY, Lost("gone")], [READY, *["made"] * 4], room=1)
    workers.started, first = [], workers.answers
    # Heard before it is sent anything: both answers come at once.
    workers.answers = lambda posted, seconds: first(posted, seconds)
    assert len(made(workers)) == 4


def test_workers_that_never_start_end_the_batch():
    workers = Workers([Lost("ended with exit code 1")], [Lost("ended with exit code 1")], [Lost("ended with exit code 1")])
    with pytest.raises(BackendError, match="while they open the pack; received ended with exit code 1"):
        made(workers)
    # One that starts shows that it is chance.
    workers = Workers(*[[Lost("ended")]] * 2, [READY, "made", Lost("ended")], *[[Lost("ended")]] * 2, [READY, *["made"] * 3])
    assert len(made(workers)) == 4


def test_what_a_worker_says_of_the_pack_ends_the_batch():
    workers = Workers([PackNotFound("no such pack")], [], room=2)
    with pytest.raises(PackNotFound):
        made(workers)
    assert len(workers.started) == 2 and all(worker.ended for worker in workers.started)


def test_places_that_come_and_go():
    workers = Workers([READY, "made", "made"], [READY, "made", "made"])
    workers.places = 0
    found = results(WORK, workers, math.inf)
    heard = workers.answers

    def answers(posted, seconds):
        workers.places = 2
        return heard(posted, seconds) if posted else []

    workers.answers = answers
    assert len(list(found)) == 4 and len(workers.started) == 2
