"""A real server in a process of its own, on the tiny pack."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from meshwright.client import Client
from tests.processes import children_of

COMMAND = (sys.executable, "-m", "meshwright.runtime.cli.main", "serve")
# A task that can be caught while it runs: as many steps as there may be.
LONG = {"prompt": "a red chair", "steps": 1000, "prior_steps": 1000, "texture": 64}
SHORT = {"prompt": "a red chair", "texture": 64}


class RunningServer:
    """One process, its folder and its address."""

    def __init__(self, pack: Path, data: Path, *options: object, environment: Mapping[str, str] | None = None) -> None:
        self.data = data
        self.errors = (data.parent / f"{data.name}.errors").open("ab")
        self.process = subprocess.Popen([*COMMAND, "--port", "0", "--data", str(data), "--pack", str(pack), "--threads", "1", "--backend",
                                         "onnxruntime", *map(str, options)], stdout=subprocess.PIPE, stderr=self.errors, text=True,
                                        env={**os.environ, **(environment or {})})
        said = self.process.stdout.readline()
        assert said, Path(self.errors.name).read_text()
        self.address = said.split()[-1].rstrip("/")
        self.port = int(self.address.rpartition(":")[2])
        self.client = Client(self.address, retries=20)

    def ask(self, method: str, path: str, body: bytes | str | None = None, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Status and body (JSON where it is), with exactly these headers; a str body is JSON's."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        kind = {"content-type": "application/json"} if isinstance(body, str) else {}
        connection.request(method, path, body, {**kind, **(headers or {})})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, json.loads(data) if "json" in answer.headers.get("content-type", "") else data

    def state(self, id: str) -> str:
        """A task's state now."""
        return str(self.client.task(id)["state"])

    def workers(self) -> list[int]:
        """The ids of its workers' processes."""
        return children_of(self.process.pid)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End the process by a signal, and wait for it."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)
        self.process.stdout.close()
        self.errors.close()

    def said(self) -> str:
        """What it printed as errors."""
        return Path(self.errors.name).read_text()


Start = Callable[..., RunningServer]


@pytest.fixture
def start(tiny: Path, tmp_path: Path) -> Iterator[Start]:
    """start(*options, data=...): a server of this test alone."""
    started: list[RunningServer] = []

    def begin(*options: object, data: str = "data") -> RunningServer:
        started.append(RunningServer(tiny, tmp_path / data, *options))
        return started[-1]

    yield begin
    for server in started:
        server.kill()


@pytest.fixture(scope="session")
def server(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that all tests of a process share; it must be left running."""
    running = RunningServer(tiny, tmp_path_factory.mktemp("server") / "data")
    yield running
    assert running.process.poll() is None
    running.kill(signal.SIGTERM)
    assert "Traceback" not in running.said()
