"""Nothing is lost: workers and servers that are killed, workers that hang, and disks that are full."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.processes import wait_for
from tests.runtime.server.broken_worker import SITE
from tests.runtime.server.conftest import LONG, SHORT, RunningServer

# The exit code of a command that SIGTERM stopped.
STOPPED = 128 + signal.SIGTERM


def worker_of(server) -> int:
    found: list[int] = []
    assert wait_for(lambda: found.extend(server.workers()) or found)
    return found[0]


def is_running(server, id: str, attempt: int = 1) -> bool:
    task = server.client.task(id)
    return (task["state"], task["attempts"]) == ("IN_PROGRESS", attempt)


def notices(server, id: str) -> list[str]:
    return [event.data["message"] for event in server.client.events(id) if event.type == "notice"]


@pytest.fixture(scope="module")
def breaks(tmp_path_factory) -> Path:
    """A file in it breaks the worker of the next task."""
    return tmp_path_factory.mktemp("breaks")


@pytest.fixture(scope="module")
def server(tiny, tmp_path_factory, breaks):
    """One server, whose workers come and go."""
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text(SITE)
    running = RunningServer(tiny, tmp_path_factory.mktemp("server") / "data", "--deadline", 60,
                            environment={"PYTHONPATH": str(site), "BREAKS": str(breaks)})
    yield running
    running.kill(signal.SIGTERM)
    assert running.process.returncode == STOPPED
    assert "Traceback" not in running.said()


def changed(server, statement: str, *values: object) -> None:
    """Change the queue behind the server's back."""
    store = sqlite3.connect(server.data / "tasks.sqlite")
    with store:
        store.execute(statement, values)
    store.close()


def test_a_worker_that_dies_is_replaced_and_its_task_runs_once_more(server):
    id = server.client.submit(**SHORT | {"prior_steps": 1000})["id"]
    assert wait_for(lambda: is_running(server, id))
    os.kill(worker_of(server), signal.SIGKILL)
    done = server.client.wait(id)
    assert (done["attempts"], done["state"]) == (2, "SUCCEEDED")
    assert notices(server, id) == ["its worker ended (signal SIGKILL); the task runs once more"]
    assert [event.type for event in server.client.events(id)].count("end") == 1
    assert not [path for path in server.data.rglob("*") if path.name.startswith(".")]


@pytest.mark.slow
def test_a_task_that_kills_its_workers_fails_with_the_reason_and_the_next_one_runs(server):
    id = server.client.submit(**LONG)["id"]
    for attempt in (1, 2):
        assert wait_for(lambda attempt=attempt: is_running(server, id, attempt))
        os.kill(worker_of(server), signal.SIGKILL)
    assert wait_for(lambda: server.state(id) == "FAILED")
    assert server.client.task(id)["error"] == "its worker ended (signal SIGKILL), at attempt 2"
    assert server.client.wait(server.client.submit(**SHORT)["id"])["state"] == "SUCCEEDED"


def test_a_worker_that_stops_answering_is_replaced(server):
    """A stopped process neither works nor renews its lease."""
    id = server.client.submit(**LONG)["id"]
    assert wait_for(lambda: is_running(server, id))
    os.kill(worker_of(server), signal.SIGSTOP)
    changed(server, "UPDATE tasks SET lease = ? WHERE id = ?", time.time() - 1, id)
    assert wait_for(lambda: server.client.task(id)["attempts"] == 2)
    server.client.cancel(id)
    assert notices(server, id) == ["its worker stopped answering; the task runs once more"]


def test_a_worker_that_hangs_is_replaced_after_its_deadline(server, breaks):
    """One that still renews its lease."""
    (breaks / "hang").touch()
    id = server.client.submit(**SHORT)["id"]
    assert wait_for(lambda: is_running(server, id) and not list(breaks.iterdir()))
    changed(server, "UPDATE tasks SET started = started - 100 WHERE id = ?", id)
    assert server.client.wait(id)["attempts"] == 2
    assert notices(server, id) == ["its worker overran the deadline; the task runs once more"]


def test_a_worker_that_lost_its_gpu_is_replaced(server, breaks):
    (breaks / "lost").touch()
    id = server.client.submit(**SHORT)["id"]
    assert server.client.wait(id)["attempts"] == 2
    assert notices(server, id) == ["its worker lost the GPU; the task runs once more"]


def test_a_writer_that_hangs_keeps_nobody_from_looking(server):
    """Such as a worker that is stopped in the middle of a transaction."""
    store = sqlite3.connect(server.data / "tasks.sqlite", isolation_level=None)
    store.execute("BEGIN IMMEDIATE")
    submitted: list[dict] = []
    waiting = threading.Thread(target=lambda: submitted.append(server.client.submit(**SHORT)))
    waiting.start()
    for path in ("/healthz", "/v1/tasks", "/metrics"):
        assert server.ask("GET", path)[0] == 200
    assert not submitted
    store.execute("ROLLBACK")
    store.close()
    waiting.join()
    assert server.client.wait(submitted[0]["id"])["state"] == "SUCCEEDED"


def test_a_task_has_a_deadline(start):
    server = start("--deadline", 0.01)
    id = server.client.submit(**LONG)["id"]
    assert wait_for(lambda: server.state(id) == "FAILED")
    assert "takes too long" in server.client.task(id)["error"] and server.client.task(id)["attempts"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_that_ends_takes_its_workers_along_and_the_next_one_goes_on(start, number):
    server = start()
    ids = [server.client.submit(**SHORT | {"seed": seed})["id"] for seed in range(3)]
    assert wait_for(lambda: is_running(server, ids[0]))
    worker = worker_of(server)
    server.kill(number)
    assert server.process.returncode == (STOPPED if number == signal.SIGTERM else -number)
    assert wait_for(lambda: not os.path.exists(f"/proc/{worker}/exe"))
    again = start()
    for id in ids:
        done = again.client.wait(id)
        assert done["state"] == "SUCCEEDED"
        assert [event.type for event in again.client.events(id)].count("end") == 1
        assert again.ask("GET", f"/v1/tasks/{id}/files/result.glb")[1][:4] == b"glTF"


@pytest.mark.slow
def test_servers_and_workers_killed_at_random_moments_lose_and_double_nothing(start):
    chance = random.Random(5)
    server, ids = start(), []
    for round in range(4):
        for _ in range(1 + round % 2):
            ids.append(server.client.submit(key=f"{round}-{len(ids)}", **SHORT | {"seed": len(ids)})["id"])
        time.sleep(chance.uniform(0, 1.5))
        if round % 2:
            for worker in server.workers():
                os.kill(worker, signal.SIGKILL)
        else:
            server.kill()
            server = start()
    assert len(set(ids)) == 6
    for id in ids:
        assert wait_for(lambda id=id: server.client.task(id)["state"] in ("SUCCEEDED", "FAILED"), 120)
        task = server.client.task(id)
        # Two workers in a row may have been killed in mid-task; that is said, and nothing of a result is there.
        assert task["state"] == "SUCCEEDED" or "its worker ended" in task["error"]
        assert [event.type for event in server.client.events(id)].count("end") == 1
        assert (server.ask("GET", f"/v1/tasks/{id}/files/result.glb")[0] == 200) == (task["state"] == "SUCCEEDED")


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_refuses_tasks_and_leaves_the_server_running(start, tmp_path):
    small = tmp_path / "data"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m", "none", str(small)], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a disk")
    try:
        server = start()
        assert server.client.wait(server.client.submit(**SHORT)["id"])["state"] == "SUCCEEDED"
        with (small / "filler").open("wb") as file:
            file.write(bytes(100 << 20))
        status, problem = server.ask("POST", "/v1/tasks", json.dumps(SHORT))
        assert (status, problem["title"]) == (507, "the disk is full")
        with (small / "filler").open("ab") as file, pytest.raises(OSError):
            file.write(bytes(300 << 20))
        assert server.ask("POST", "/v1/tasks", json.dumps(SHORT))[0] == 507
        assert server.ask("GET", "/v1/tasks")[0] == 200
        (small / "filler").unlink()
        assert server.client.wait(server.client.submit(**SHORT)["id"])["state"] == "SUCCEEDED"
        server.kill(signal.SIGTERM)
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


@pytest.mark.slow
def test_a_server_deletes_what_is_above_its_limit(start):
    server = start()
    id = server.client.wait(server.client.submit(**SHORT)["id"])["id"]
    server.kill(signal.SIGTERM)
    again = start("--keep-size", 0)
    assert wait_for(lambda: again.ask("GET", f"/v1/tasks/{id}")[0] == 404)
    assert not list(again.data.glob("tasks/*"))


def test_old_results_are_deleted(tiny, tmp_path):
    from meshwright.runtime.server.folder import DataFolder
    from meshwright.runtime.server.service import Service, ServiceOptions
    from meshwright.runtime.server.store import SUCCEEDED
    from meshwright.runtime.server.worker import WorkerOptions

    folder = DataFolder(tmp_path)
    service = Service(folder, ServiceOptions(WorkerOptions(str(tmp_path), "", (str(tiny),)), keep_bytes=250, keep_seconds=1000))
    ids = []
    for size in (100, 100, 100):
        task, _ = service.store.submit({}, "", key=None, limit=10)
        claimed = service.store.claim("w", 10)
        folder.output(task.id, 1).mkdir(parents=True)
        (folder.output(task.id, 1) / "result.glb").write_bytes(bytes(size))
        service.store.end(claimed, SUCCEEDED, files={"result.glb": size})
        ids.append(task.id)
    waiting, _ = service.store.submit({}, "", key=None, limit=10)
    service.sweep()
    assert [service.store.get(id) is not None for id in ids] == [False, True, True]  # the oldest one goes
    assert sorted(folder.ids()) == sorted(ids[1:])
    service.store._connection.execute("UPDATE tasks SET ended = ended - 2000 WHERE id = ?", (ids[2],))
    service.sweep()
    assert folder.ids() == [ids[1]] and service.store.get(waiting.id) is not None
