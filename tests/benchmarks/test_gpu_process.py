"""Turns, clocks and processes of the GPU benchmark. The sides here only pretend to measure, but for one."""

import sys
import time

import pytest

from benchmarks import gpu_process
from benchmarks.gpu_clock import HostClock, StreamClock
from benchmarks.gpu_process import Process, interleaved
from benchmarks.gpu_sides import Task


class Pretended:
    """Answers with the given milliseconds, one each time; a text in their place is a failure. calls : shared with the others"""

    def __init__(self, name, times, calls):
        self.name, self.times, self.calls = name, list(times), calls

    def ask(self, limit, **request):
        self.calls.append((self.name, request.get("repeat")))
        found = self.times.pop(0)
        return {"failed": found} if isinstance(found, str) else {"ms": [found] * request.get("repeat", 1), "events": True}


class Ticks:
    """A clock that moves by one at each look."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        self.seconds += 1.0
        return self.seconds


def test_sides_take_turns_and_the_first_answer_is_cold():
    calls = []
    sides = {"a": Pretended("a", [90, 1, 2, 3], calls), "b": Pretended("b", [80, 4, 5, 6], calls)}
    found = interleaved(sides, {"do": "run"}, budget=0, limit=9, fewest=3, most=9)
    assert [name for name, _ in calls] == ["a", "b"] * 4 and {repeat for _, repeat in calls} == {None}
    assert found["a"] == {"ms": [1, 2, 3], "runs": [], "cold_ms": 90, "events": True} and found["b"]["ms"] == [4, 5, 6]


def test_a_side_that_fails_is_asked_no_more_and_leaves_the_rest():
    calls = []
    sides = {"a": Pretended("a", ["no engine"], calls), "b": Pretended("b", [8, 4, "lost", 5], calls), "c": Pretended("c", [1] * 9, calls)}
    found = interleaved(sides, {"do": "run"}, budget=0, limit=9, fewest=3, most=3)
    assert found["a"] == {"failed": "no engine"} and found["b"] == {"failed": "lost"} and found["c"]["ms"] == [1, 1, 1]
    assert [name for name, _ in calls] == ["a", "b", "c", "b", "c", "b", "c", "c"]


def test_rounds_go_on_until_the_budget_is_spent():
    sides = {"a": Pretended("a", [1.0] * 99, [])}
    found = interleaved(sides, {"do": "run"}, budget=5.5, limit=9, fewest=2, most=50, now=Ticks())
    assert len(found["a"]["ms"]) == 7  # two without a look at the clock, then one a second


def test_short_work_is_repeated_within_an_answer():
    calls = []
    sides = {"fast": Pretended("fast", [500.0, 2.0, 2.0], calls), "slow": Pretended("slow", [300.0, 200.0, 200.0], calls)}
    found = interleaved(sides, {"do": "step"}, budget=0, limit=9, fewest=2, most=2, repeat_ms=100)
    assert [repeat for name, repeat in calls if name == "fast"] == [1, 1, 50]
    assert [repeat for name, repeat in calls if name == "slow"] == [1, 1, 1]
    assert len(found["fast"]["ms"]) == 51


def test_events_of_a_stream_and_the_hosts_clock():
    class Cuda:
        def __init__(self):
            self.log, self.moment = [], 0.0

        def synchronise(self):
            self.log.append("wait")

        def record(self):
            self.log.append("event")
            return self.moment

        def milliseconds(self, first, last):
            return last - first

    cuda = Cuda()

    def work():
        cuda.log.append("work")
        cuda.moment += 2.5

    assert StreamClock(cuda).milliseconds(work) == 2.5 and cuda.log == ["wait", "event", "work", "event"]
    assert HostClock(Ticks()).milliseconds(work) == 1000.0
    assert StreamClock.events and not HostClock.events


@pytest.fixture
def started(tmp_path, monkeypatch):
    """A function from the code of a worker to its process."""
    processes = []

    def start(code):
        (tmp_path / "worker.py").write_text(code)
        popen = gpu_process.subprocess.Popen
        monkeypatch.setattr(gpu_process.subprocess, "Popen",
                            lambda command, **options: popen([sys.executable, str(tmp_path / "worker.py"), command[-1]], **options))
        processes.append(Process(Task("ort-cpu", "props"), tmp_path / "log"))
        return processes[-1]
    yield start
    for process in processes:
        process.close()


ANSWERING = """
import json, os, sys, time
print(json.dumps({"ready": json.loads(sys.argv[1])["side"]}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "crash":
        os._exit(7)
    if request["do"] == "hang":
        time.sleep(60)
    print(json.dumps({"asked": request, "process": os.getpid()}), flush=True)
"""


def test_a_process_that_crashes_or_hangs_is_told_and_starts_again(started):
    process = started(ANSWERING)
    first = process.ask(30, do="run", steps=2)
    assert first["asked"] == {"do": "run", "steps": 2}
    assert process.ask(30, do="crash") == {"failed": "crash: the process ended with code 7, see log"}
    second = process.ask(30, do="run")
    began = time.monotonic()
    assert process.ask(0.3, do="hang") == {"failed": "hang: no answer within the time limit"} and time.monotonic() - began < 5
    third = process.ask(30, do="run")
    assert len({answer["process"] for answer in (first, second, third)}) == 3


def test_a_side_that_cannot_start_is_tried_once(started, tmp_path):
    process = started("import json, pathlib\nstarts = pathlib.Path(__file__).with_name('starts')\n"
                      "starts.write_text(starts.read_text() + '1' if starts.exists() else '1')\n"
                      "print(json.dumps({'failed': 'no GPU'}), flush=True)")
    assert process.ask(30, do="step") == process.ask(30, do="run") == {"failed": "no GPU"}
    assert (tmp_path / "starts").read_text() == "1" and process.never == {"failed": "no GPU"}


def test_a_real_side_answers(tmp_path):
    """ONNX Runtime on the CPU, the bundled pack: a check against the golden tensors, a step, a loop, and an error."""
    process = Process(Task("ort-cpu", "props", threads=1), tmp_path / "log")
    try:
        checked = process.ask(120, do="check", kind="text_encoder", reference=str(tmp_path / "reference.npz"))
        assert checked["passed"] and 0 <= checked["relative"] < checked["tolerance"] and (tmp_path / "reference.npz").is_file()
        again = process.ask(120, do="check", kind="text_encoder", reference=str(tmp_path / "reference.npz"))
        assert again["relative"] == 0
        assert len(process.ask(120, do="step", kind="text_encoder", repeat=3)["ms"]) == 3
        loop = process.ask(120, do="loop", kind="prior_step", steps=2, repeat=1)
        assert loop["ms"][0] > 0 and loop["events"] is False
        assert process.ask(120, do="work", kind="text_encoder")["failed"].startswith("AttributeError")  # only PyTorch counts
        assert "none_such" in process.ask(120, do="step", kind="none_such", repeat=1)["failed"]
    finally:
        process.close()
