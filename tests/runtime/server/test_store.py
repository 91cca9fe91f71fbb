"""The queue: what is accepted once, claimed by one, and ends once."""

import threading
import time
from pathlib import Path

import pytest

from meshwright.runtime.server.store import (
    CANCELED,
    FAILED,
    IN_PROGRESS,
    MAX_ATTEMPTS,
    PENDING,
    SUCCEEDED,
    KeyReused,
    QueueFull,
    Task,
    TaskStore,
)


@pytest.fixture
def store(tmp_path: Path) -> TaskStore:
    return TaskStore(tmp_path / "tasks.sqlite")


def submitted(store: TaskStore, prompt: str = "a chair", key: str | None = None, limit: int = 100) -> Task:
    return store.submit({"prompt": prompt}, prompt, key=key, limit=limit)[0]


def test_tasks_are_claimed_in_the_order_in_which_they_came(store):
    first, second = submitted(store, "one"), submitted(store, "two")
    assert (store.position(first), store.position(second)) == (0, 1)
    claimed = store.claim("worker", 10)
    assert (claimed.id, claimed.state, claimed.attempts, claimed.request) == (first.id, IN_PROGRESS, 1, {"prompt": "one"})
    assert store.position(second) == 1  # the one that runs is before it
    assert store.claim("worker", 10).id == second.id
    assert store.claim("worker", 10) is None


def test_a_key_gives_the_same_task_again(store):
    first, new = store.submit({}, "same", key="k", limit=1)
    assert new
    assert store.submit({}, "same", key="k", limit=1) == (first, False)  # although the queue is full
    with pytest.raises(KeyReused):
        store.submit({}, "other", key="k", limit=1)
    with pytest.raises(QueueFull):
        store.submit({}, "same", key=None, limit=1)


def test_two_workers_never_get_the_same_task(tmp_path):
    path = tmp_path / "tasks.sqlite"
    ids = {submitted(TaskStore(path), str(i)).id for i in range(60)}
    claimed: list[str] = []

    def work(name: str) -> None:
        own = TaskStore(path)
        while (task := own.claim(name, 10)) is not None:
            claimed.append(task.id)
            assert own.end(task, SUCCEEDED, files={"result.glb": 1})

    threads = [threading.Thread(target=work, args=(str(i),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(ids)
    assert TaskStore(path).counts()[SUCCEEDED] == 60


def test_what_a_worker_that_was_given_up_says_does_not_count(store):
    submitted(store)
    old = store.claim("old", 10)
    assert store.give_back("old", "its worker ended") == [old.id]
    new = store.claim("new", 10)
    assert new.attempts == 2
    assert not store.renew(old, 10)
    assert not store.record(old, "step", {})
    assert not store.end(old, SUCCEEDED)
    assert store.end(new, SUCCEEDED, files={"result.glb": 7}, timings={"text": 0.5})
    done = store.get(new.id)
    assert (done.state, done.progress, done.files, done.timings) == (SUCCEEDED, 100, {"result.glb": 7}, {"text": 0.5})
    assert not store.end(new, FAILED)


def test_a_task_whose_worker_died_runs_once_more_and_then_fails(store):
    id = submitted(store).id
    for state in (PENDING, FAILED):
        store.claim("w", 10)
        store.give_back("w", "its worker ended (signal SIGKILL)")
        assert store.get(id).state == state
    assert store.get(id).error == "its worker ended (signal SIGKILL), at attempt 2"
    assert [event.type for event in store.events(id)] == ["notice", "end"]


def test_a_task_is_not_to_blame_for_servers_that_were_stopped_but_does_not_run_for_ever(store):
    id = submitted(store).id
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert store.claim("w", 10).attempts == attempt
        store.give_back_all("the server was ended meanwhile")
    assert store.get(id).state == FAILED


def test_cancelling(store):
    waiting, running = submitted(store, "one"), submitted(store, "two")
    assert store.cancel(waiting.id).state == CANCELED
    claimed = store.claim("w", 10)
    assert claimed.id == running.id
    assert store.renew(claimed, 10)
    assert store.cancel(running.id).state == IN_PROGRESS
    assert not store.renew(claimed, 10)
    store.give_back("w", "its worker ended")  # before it could say so itself
    assert store.get(running.id).state == CANCELED
    assert store.cancel("0" * 32) is None


def test_events_have_numbers_of_their_own_and_files_add_up(store):
    submitted(store)
    task = store.claim("w", 10)
    store.record(task, "stage", {"stage": "text"}, progress=3)
    store.record(task, "file", {"name": "coarse.glb"}, progress=1, file=("coarse.glb", 12))
    assert [(event.id, event.type, event.data) for event in store.events(task.id, after=1)] == [(2, "file", '{"name": "coarse.glb"}')]
    found = store.get(task.id)
    assert (found.progress, found.files) == (3, {"coarse.glb": 12})  # progress never goes back
    store.end(task, SUCCEEDED, files={"result.glb": 5})
    assert store.get(task.id).files == {"coarse.glb": 12, "result.glb": 5}


def test_only_what_has_ended_is_deleted(store):
    id = submitted(store).id
    assert not store.delete(id)
    store.end(store.claim("w", 10), SUCCEEDED)
    assert store.delete(id) and store.get(id) is None and store.events(id) == []


def test_pages(store):
    ids = [submitted(store, str(i)).id for i in range(5)]
    store.cancel(ids[1])
    page = store.newest(limit=2)
    assert [task.id for task in page] == [ids[4], ids[3]]
    assert [task.id for task in store.newest(before=page[-1].number)] == [ids[2], ids[1], ids[0]]
    assert [task.id for task in store.newest(state=CANCELED)] == [ids[1]]


def test_a_lease_is_a_time(store):
    submitted(store)
    task = store.claim("w", 5)
    assert time.time() < task.lease <= time.time() + 5
    store.renew(task, 50)
    assert store.in_progress()[0].lease > time.time() + 40
