"""The server under load and faults, and what it adds to the library.

    python -m benchmarks.serve --out results        (about ten minutes)

1. The queue alone: tasks submitted, claimed and ended a second; events a second. No networks.
2. What the server adds: the same prompts by an open `Pipeline` and by the server, by turns, both warm.
3. Many tasks with faults: workers killed, clients that hang up, cancels, repeats with the same key. Afterwards every accepted task
   must have ended exactly once.
4. Many event streams, opened and dropped.
5. Ten thousand broken requests.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.harness.results import RESULTS, Results, figure, machine, table
from meshwright.client import Client, ClientError
from meshwright.engines.files.file_set import write_files
from meshwright.runtime import Pipeline
from meshwright.runtime.files.gltf.encoding import png_bytes
from meshwright.runtime.server.store import SUCCEEDED, TaskStore
from meshwright.runtime.server.worker import PREVIEW

# As few steps and pixels as there may be: the server is measured, not the networks.
SMALL = {"prompt": "a red chair", "steps": 1, "prior_steps": 2, "texture": 64, "faces": 200}
KILL, HANG_UP, CANCEL, REPEAT = "worker killed", "client hung up", "cancelled", "repeated"
# Seconds after which a broken request is taken to be one that the server waits for the rest of.
MOMENT = 0.2
# Of 1,000 tasks: how many meet which fault. A killed worker meets whatever task runs.
SHARES = {KILL: 0.03, HANG_UP: 0.1, CANCEL: 0.1, REPEAT: 0.2}


class Server:
    """A running `meshwright serve`."""

    def __init__(self, data: Path, pack: str) -> None:
        command = [sys.executable, "-m", "meshwright.runtime.cli.main", "serve", "--port", "0", "--data", str(data), "--pack", pack,
                   "--max-queue", "2000"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().split()[-1].rstrip("/")
        self.client = Client(self.address)
        self.port = int(self.address.rpartition(":")[2])

    def workers(self) -> list[int]:
        """The processes that run tasks."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").parent.parent
        return [int(pid) for thread in children.iterdir() for pid in (thread / "children").read_text().split()]

    def holds(self) -> tuple[int, float]:
        """Open files, and MB of memory, of the server's own process."""
        folder = Path(f"/proc/{self.process.pid}")
        return len(os.listdir(folder / "fd")), int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def stop(self) -> None:
        """End it as a service manager does."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def queue_alone(folder: Path, count: int = 2000) -> dict[str, float]:
    """Tasks and events a second, on the disk of `folder`."""
    store = TaskStore(folder / "tasks.sqlite", durable=True)
    began = time.perf_counter()
    for number in range(count):
        store.submit(SMALL, str(number), key=str(number), limit=count)
    submitted, began = time.perf_counter() - began, time.perf_counter()
    worker = TaskStore(folder / "tasks.sqlite")
    tasks = []
    while (task := worker.claim("worker", 60)) is not None:
        tasks.append(task)
        if len(tasks) > 1:
            worker.end(task, SUCCEEDED, files={"result.glb": 1})
    ended, began = time.perf_counter() - began, time.perf_counter()
    for number in range(count):
        worker.record(tasks[0], "step", {"index": number}, progress=1)
    events = time.perf_counter() - began
    store.close()
    worker.close()
    return {"submitted": count / submitted, "claimed and ended": count / ended, "events": count / events}


def added(server: Server, pack: str, rounds: int) -> dict[str, Any]:
    """Seconds of the same prompts by the library and by the server, in turn."""
    request = {"prompt": "a red chair"}
    library, served, pairs = [], [], []
    with tempfile.TemporaryDirectory() as name, Pipeline.open(pack) as pipe:
        path = Path(name)
        pipe.generate(**request)
        server.client.wait(server.client.submit(**request)["id"])
        for seed in range(rounds):
            began = time.perf_counter()
            made = pipe.generate(seed=seed, **request)
            write_files({**made.encode(path / "result.glb"), path / "preview.png": png_bytes(made.preview(PREVIEW))})
            library.append(time.perf_counter() - began)
            began = time.perf_counter()
            server.client.wait(server.client.submit(seed=seed, **request)["id"])
            served.append(time.perf_counter() - began)
            pairs.append(served[-1] - library[-1])
    own = overhead(server, rounds)
    return {"library_s": statistics.median(library), "server_s": statistics.median(served), "difference_s": statistics.median(pairs),
            "around_the_run_s": own, "rounds": rounds}


def overhead(server: Server, rounds: int) -> float:
    """Median seconds of a task, as a client sees it, beside what its worker was busy with it."""
    found = []
    for seed in range(rounds):
        began = time.perf_counter()
        task = server.client.wait(server.client.submit(seed=seed, **SMALL)["id"])
        found.append(time.perf_counter() - began - _seconds(task["started_at"], task["ended_at"]))
    return statistics.median(found)


def faults(server: Server, count: int, seed: int) -> dict[str, Any]:
    """Submit `count` tasks with faults, wait for all, and count how each of them ended."""
    chance, met, ids = random.Random(seed), Counter[str](), set()
    before = server.holds()
    stopped = threading.Event()

    def kill() -> None:
        for _ in range(round(SHARES[KILL] * count)):
            if stopped.wait(chance.uniform(2, 8)):
                return
            for worker in server.workers()[:1]:
                os.kill(worker, signal.SIGKILL)
                met[KILL] += 1

    killer = threading.Thread(target=kill)
    killer.start()
    for number in range(count):
        options = {**SMALL, "seed": number}
        fault = chance.choices([*SHARES, ""], [*SHARES.values(), 1 - sum(SHARES.values())])[0]
        if fault == HANG_UP:
            _hang_up(server, options)
            met[HANG_UP] += 1
            continue
        task = server.client.submit(key=str(number), **options)
        ids.add(task["id"])
        if fault == REPEAT:
            met[REPEAT] += 1
            assert server.client.submit(key=str(number), **options)["id"] == task["id"]
        elif fault == CANCEL:
            met[CANCEL] += 1
            server.client.cancel(task["id"])
    states: Counter[str] = Counter()
    doubled = 0
    for id in sorted(ids):
        try:
            server.client.wait(id)
        except ClientError:
            pass
        states[server.client.task(id)["state"]] += 1
        doubled += [event.type for event in server.client.events(id)].count("end") != 1
    stopped.set()
    killer.join()
    after = server.holds()
    return {"accepted": len(ids), "faults": dict(met), "states": dict(states), "lost": len(ids) - sum(states.values()),
            "ended_twice": doubled, "files_before": before[0], "files_after": after[0], "mb_before": before[1], "mb_after": after[1]}


def streams(server: Server, count: int) -> dict[str, Any]:
    """Open `count` event streams of a task that waits, a hundred at a time, and drop them."""
    blocker = server.client.submit(**{**SMALL, "steps": 1000, "prior_steps": 1000})
    task = server.client.submit(**SMALL)
    before = server.holds()
    for _ in range(0, count, 100):
        opened = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
        for connection in opened:
            connection.sendall(f"GET /v1/tasks/{task['id']}/events HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        for connection in opened:
            assert connection.recv(4096)
            connection.close()
    for id in (task["id"], blocker["id"]):
        server.client.cancel(id)
    time.sleep(15)  # a stream that is gone is noticed with the next comment
    after = server.holds()
    return {"streams": count, "files_before": before[0], "files_after": after[0], "mb_before": before[1], "mb_after": after[1]}


def fuzz(host: str, port: int, count: int, seed: int) -> Counter[int]:
    """Send broken requests: heads, bodies and paths out of bits that might hurt. Gives how often which status came, 0 for none."""
    chance, statuses = random.Random(seed), Counter[int]()
    for _ in range(count):
        request = _broken(chance, f"{host}:{port}")
        try:
            with socket.create_connection((host, port), timeout=20) as connection:
                connection.sendall(request)
                answer = _answer(connection)
        except OSError:
            answer = b""
        found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
        statuses[int(found[1]) if found else 0] += 1
    return statuses


def _answer(connection: socket.socket) -> bytes:
    """The first of what comes back; a server that waits for more gets no more."""
    if not select.select([connection], [], [], MOMENT)[0]:
        connection.shutdown(socket.SHUT_WR)
    return connection.recv(4096)


BITS = (b"", b"{}", b"[]", b"null", b"\0", b"\xff\xfe", b"../" * 20, b"%00", b"A" * 5000, b"[" * 3000, b'{"prompt":' * 50, b"1e999", b"-1",
        b'{"prompt": "a chair", "image": "data:image/png;base64,iVBORw0KGgo="}', b'{"prompt": "\\ud800"}', b'{"seed": 1e400}',
        b'{"prompt": "a", "mesh": "Z2xURgIAAAD/////"}', b'{"type": "refine", "prompt": "a", "mesh": "Z2xURgIAAAAMAAAA"}', b"<script>")
PATHS = (b"/", b"/v1/tasks", b"/v1/tasks/" + b"0" * 32, b"/v1/tasks/x/events", b"/v1/tasks/x/files/../../x", b"/v1/3d/generations",
         b"/static/%2e%2e/x", b"/openapi.json", b"/metrics", b"//", b"*", b"http://evil.example/",
         b"/v1/tasks?limit=1&before=99999999999999999999")
HEADS = (b"Content-Type: application/json", b"Content-Type: multipart/form-data; boundary=x", b"X-Meshwright: 1",
         b"Transfer-Encoding: chunked", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 99999999999999999999",
         b"Expect: 100-continue", b"Range: bytes=9-1,-,x", b"Idempotency-Key: \x7f", b"Last-Event-ID: -5", b"Origin: null",
         b"Authorization: Bearer x", b"Connection: upgrade", b": x", b"Broken")


def _broken(chance: random.Random, host: str) -> bytes:
    heads = [b"Host: " + (host.encode() if chance.random() < 0.9 else chance.choice(BITS)), b"Connection: close"]
    heads += chance.sample(HEADS, chance.randrange(4))
    body = b"".join(chance.choices(BITS, k=chance.randrange(3)))
    if chance.random() < 0.7:
        heads = [head for head in heads if not head.startswith((b"Content-Length", b"Transfer"))] + [b"Content-Length: %d" % len(body)]
    method = chance.choice((b"GET", b"POST", b"POST", b"POST", b"DELETE", b"PUT", b"HEAD", b"OPTIONS", b"BREW", b""))
    request = method + b" " + chance.choice(PATHS) + b" HTTP/1.1\r\n" + b"\r\n".join(heads) + b"\r\n\r\n" + body
    if chance.random() < 0.1:
        request = request[:chance.randrange(len(request))]
    return request


def page(document: dict[str, Any]) -> str:
    """The figures as Markdown."""
    queue, pairs, load, many, broken = (document[name] for name in ("queue", "added", "faults", "streams", "fuzz"))
    states = ", ".join(f"{count} {state.lower()}" for state, count in sorted(load["states"].items()))
    return "\n".join([
        "# The server under load", "", f"`python -m benchmarks.serve`, on {document['machine']['processor']}, "
        f"{document['machine']['cores']} cores.", "", "## The queue alone", "",
        table(["a second", "number"], [[name, figure(value, ",.0f")] for name, value in queue.items()]), "",
        "## What the server adds", "",
        f"Warm, {pairs['rounds']} prompts each, in turn: from the request to the GLB and its preview on the disk.", "",
        table(["", "s"], [["library, median", figure(pairs["library_s"])], ["server, median", figure(pairs["server_s"])],
                          ["median of the differences", figure(pairs["difference_s"])],
                          ["of a task outside of its run: submit, wait in an empty queue, events", figure(pairs["around_the_run_s"])]]), "",
        "## Faults", "",
        f"{load['accepted']} tasks that were accepted, and {load['faults'].get(HANG_UP, 0)} clients of the blocking endpoint that hung up; "
        + ", ".join(f"{count} {name}" for name, count in load["faults"].items() if name != HANG_UP) + ".", "",
        table(["", "number"], [["lost", str(load["lost"])], ["ended twice", str(load["ended_twice"])]]), "",
        f"They ended as: {states}.", "",
        "## The server's own process", "",
        table(["", "open files", "MB"], [
            ["before the tasks", str(load["files_before"]), figure(load["mb_before"], ".0f")],
            ["after the tasks", str(load["files_after"]), figure(load["mb_after"], ".0f")],
            [f"before {many['streams']} event streams", str(many["files_before"]), figure(many["mb_before"], ".0f")],
            ["after they were dropped", str(many["files_after"]), figure(many["mb_after"], ".0f")],
            [f"before {broken['requests']:,} broken requests", str(broken["files_before"]), figure(broken["mb_before"], ".0f")],
            ["after them", str(broken["files_after"]), figure(broken["mb_after"], ".0f")]]), "",
        "Answers to the broken requests: " + ", ".join(f"{count} times {status}" if status != "0" else f"{count} times none"
                                                       for status, count in sorted(broken["statuses"].items())) + "."])


def _hang_up(server: Server, options: dict[str, Any]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    body = {name: options[name] for name in ("prompt", "seed")}
    connection.request("POST", "/v1/3d/generations", json.dumps(body), {"content-type": "application/json"})
    time.sleep(0.01)
    connection.close()


def _seconds(began: str, ended: str) -> float:
    from datetime import datetime

    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()


def main() -> None:
    """Measure everything, part by part."""
    parser = argparse.ArgumentParser(description=re.split(r"\n\n", __doc__ or "")[0])
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--pack", default="props")
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--fuzz", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        document: dict[str, Any] = {"machine": machine(), "queue": queue_alone(folder)}
        server = Server(folder / "data", options.pack)
        try:
            document["added"] = added(server, options.pack, options.rounds)
            document["streams"] = streams(server, options.streams)
            before = server.holds()
            statuses = fuzz("127.0.0.1", server.port, options.fuzz, seed=1)
            after = server.holds()
            document["fuzz"] = {"requests": options.fuzz, "statuses": {str(status): count for status, count in statuses.items()},
                                "files_before": before[0], "files_after": after[0], "mb_before": before[1], "mb_after": after[1]}
            document["faults"] = faults(server, options.tasks, seed=1)
        finally:
            server.stop()
    Results(options.out, "serve", document, page, anew=True).save()


if __name__ == "__main__":
    main()
