"""Processes that are asked: real ones, that answer, crash, hang, or cannot start."""

import os
import time

import pytest

from benchmarks.harness.worker import Worker, answer, serve

MODULE = "tests.benchmarks.harness.test_worker"


class Asked:
    """What the process of this module serves."""

    def __init__(self, folder):
        if os.path.exists(f"{folder}/broken"):
            with open(f"{folder}/starts", "a") as starts:
                starts.write("1")
            raise OSError("no GPU")

    def run(self, **options):
        print("what a library prints")
        return {"asked": options, "process": os.getpid()}

    def crash(self):
        os._exit(7)

    def hang(self):
        time.sleep(60)


if __name__ == "__main__":
    import sys

    serve(lambda: Asked(sys.argv[1]))


@pytest.fixture
def worker(tmp_path):
    process = Worker(MODULE, str(tmp_path), log=tmp_path / "log")
    yield process
    process.close()


def test_a_process_that_crashes_or_hangs_is_told_and_starts_again(worker, tmp_path):
    first = worker.ask(30, do="run", steps=2)
    assert first["asked"] == {"steps": 2} and worker.ready["ready"] >= 0 and worker.ready["peak_bytes"] > 1 << 20
    assert worker.ask(30, do="crash") == {"failed": "crash: the process ended with code 7, see log"}
    second = worker.insist(do="run")
    began = time.monotonic()
    assert worker.ask(0.3, do="hang") == {"failed": "hang: no answer within the time limit"} and time.monotonic() - began < 5
    third = worker.ask(30, do="run")
    assert len({found["process"] for found in (first, second, third)}) == 3
    assert "what a library prints" in (tmp_path / "log").read_text()


def test_a_request_that_fails_ends_nothing(worker):
    assert worker.ask(30, do="no_such_thing")["failed"].startswith("AttributeError")
    with pytest.raises(SystemExit, match="AttributeError"):
        worker.insist(do="no_such_thing")
    assert worker.ask(30, do="run")["asked"] == {}


def test_a_side_that_cannot_start_is_tried_once(worker, tmp_path):
    (tmp_path / "broken").touch()
    assert worker.ask(30, do="run") == worker.ask(30, do="run") == {"failed": "OSError: no GPU"}
    assert (tmp_path / "starts").read_text() == "1" and worker.never == {"failed": "OSError: no GPU"}


def test_why_something_failed(capsys):
    assert answer(lambda: 1 // 0) == {"failed": "ZeroDivisionError: integer division or modulo by zero"}
    assert "Traceback" in capsys.readouterr().err
