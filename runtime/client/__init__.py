"""A client of `meshwright serve`; the standard library alone.

    from meshwright.client import Client

    client = Client()
    task = client.submit(prompt="a red chair")
    for event in client.events(task["id"]):
        print(event.type, event.data)
    client.download(task["id"], "result.glb", "chair.glb")

The file can be copied into another program, such as an add-on, as it is.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

ADDRESS = "http://127.0.0.1:8188"
ENDED = ("SUCCEEDED", "FAILED", "CANCELED")
# Options that are files, and what a server that is busy or starting answers.
FILES = ("image", "mesh", "control")
TRY_AGAIN = (429, 502, 503)
# Seconds: between two tries of a server that does not answer, and without a word on a stream, which says something every ten.
PAUSE, SILENCE = 1.0, 30.0


class ClientError(Exception):
    """What the server refused, or that there is none.

    status : of HTTP, None if no server answered; problem : its `application/problem+json`
    """

    def __init__(self, message: str, status: int | None = None, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status, self.problem = status, dict(problem or {})


@dataclass(frozen=True)
class TaskEvent:
    """id : None for an event that is not kept; type : "queue", "stage", "step", "build", "notice", "file" or "end"; data : its JSON"""

    id: int | None
    type: str
    data: Mapping[str, Any]


class Client:
    """Talks to the server at `address`.

    token : what the server's --token-file holds, None if it has none; timeout : seconds that one answer may take
    retries : how often a request is sent again if there is no answer or the server is busy; a task is then still made once
    """

    def __init__(self, address: str = ADDRESS, *, token: str | None = None, timeout: float = 30.0, retries: int = 5) -> None:
        self.address, self.token, self.timeout, self.retries = address.rstrip("/"), token, timeout, retries
        # No proxy stands between this machine and itself.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def submit(self, *, key: str | None = None, views: Iterable[tuple[float, Any]] = (), **options: Any) -> dict[str, Any]:
        """Send a task, and give it as the server keeps it, with its "id".

        options : as the server's OpenAPI document says: prompt, seed, type="refine", ...; image, mesh and control are paths or bytes
        views : further pictures of an object, each with its azimuth in degrees
        key : the same key never makes a second task; a random one if None
        """
        body = {name: _encoded(value) if name in FILES else value for name, value in options.items() if value is not None}
        if further := [{"azimuth": azimuth, "image": _encoded(picture)} for azimuth, picture in views]:
            body["views"] = further
        with self._request("POST", "/v1/tasks", body, {"Idempotency-Key": key or secrets.token_urlsafe(24)}) as answer:
            return _json(answer)

    def task(self, id: str) -> dict[str, Any]:
        """The task as it is now."""
        with self._request("GET", f"/v1/tasks/{id}") as answer:
            return _json(answer)

    def tasks(self, state: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """The newest tasks, the newest first."""
        with self._request("GET", f"/v1/tasks?limit={limit}" + (f"&state={state}" if state else "")) as answer:
            found: list[dict[str, Any]] = _json(answer)["tasks"]
            return found

    def cancel(self, id: str) -> dict[str, Any]:
        """Cancel a task, which ends at its next step."""
        with self._request("POST", f"/v1/tasks/{id}/cancel") as answer:
            return _json(answer)

    def delete(self, id: str) -> None:
        """Forget a task that has ended, with its files."""
        self._request("DELETE", f"/v1/tasks/{id}").close()

    def events(self, id: str, after: int = 0) -> Iterator[TaskEvent]:
        """What happens to a task, from its beginning to its end; goes on after a lost connection where it was.

        after : id of the last event that is known already
        """
        failures = 0
        while True:
            try:
                with self._request("GET", f"/v1/tasks/{id}/events", headers={"Last-Event-ID": str(after)}, timeout=SILENCE) as stream:
                    for event in _events(stream):
                        failures, after = 0, event.id or after
                        yield event
                        if event.type == "end":
                            return
                if self.task(id)["state"] in ENDED:
                    return
            except (OSError, HTTPException) as error:
                failures += 1
                if failures > self.retries:
                    raise ClientError(f"the connection to {self.address} is lost: {error}") from error
            time.sleep(PAUSE)

    def wait(self, id: str) -> dict[str, Any]:
        """The task once it has ended. ClientError if it has not succeeded."""
        for _ in self.events(id):
            pass
        task = self.task(id)
        if task["state"] != "SUCCEEDED":
            raise ClientError(task["error"] or "the task was cancelled", problem={"task": task})
        return task

    def download(self, id: str, name: str, to: str | os.PathLike[str]) -> Path:
        """Fetch a file of a task, such as "result.glb". It appears at `to` once it is whole."""
        to = Path(to)
        part = to.with_name(f".{to.name}.{secrets.token_hex(4)}.part")
        try:
            with self._request("GET", f"/v1/tasks/{id}/files/{name}") as answer, part.open("xb") as file:
                shutil.copyfileobj(answer, file)
                expected = int(answer.headers.get("content-length", file.tell()))
                if file.tell() != expected:
                    raise ClientError(f"{name} ended after {file.tell()} of {expected} bytes")
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)
        return to

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None,
                 timeout: float | None = None) -> HTTPResponse:
        sent = {**(headers or {}), **({"Authorization": f"Bearer {self.token}"} if self.token else {})}
        data = None
        if body is not None:
            data, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        for left in range(self.retries, -1, -1):
            request = urllib.request.Request(self.address + path, data, sent, method=method)
            try:
                answer: HTTPResponse = self._opener.open(request, timeout=timeout or self.timeout)
                return answer
            except urllib.error.HTTPError as error:
                problem = _problem(error)
                if error.code not in TRY_AGAIN or not left:
                    raise ClientError(_message(problem, error), error.code, problem) from error
                time.sleep(_seconds(error.headers.get("retry-after")))
            except (OSError, HTTPException) as error:
                if not left:
                    raise ClientError(f"no server answers at {self.address}: {getattr(error, 'reason', error)}") from error
                time.sleep(PAUSE)
        raise AssertionError("the last try returns or raises")


def _encoded(value: Any) -> str:
    data = value if isinstance(value, bytes) else Path(value).read_bytes()
    return base64.b64encode(data).decode("ascii")


def _json(answer: HTTPResponse) -> dict[str, Any]:
    value: dict[str, Any] = json.load(answer)
    return value


def _events(stream: HTTPResponse) -> Iterator[TaskEvent]:
    """Server-sent events, as our server writes them: a field a line, JSON in one."""
    fields: dict[str, str] = {}
    for line in stream:
        name, _, value = line.decode("utf-8").rstrip("\r\n").partition(": ")
        if name:
            fields[name] = value
        elif "data" in fields:
            yield TaskEvent(int(fields["id"]) if "id" in fields else None, fields.get("event", "message"), json.loads(fields["data"]))
            fields = {}
        else:
            fields = {}


def _problem(error: urllib.error.HTTPError) -> dict[str, Any]:
    try:
        found = json.load(error)
        return found if isinstance(found, dict) else {}
    except ValueError:
        return {}


def _message(problem: Mapping[str, Any], error: urllib.error.HTTPError) -> str:
    parts = [str(problem.get("title") or f"{error.code} {error.reason}"), str(problem.get("detail") or "")]
    parts += [f"{fault['pointer']} {fault['detail']}" for fault in problem.get("errors", ())]
    return "; ".join(filter(None, parts))


def _seconds(header: str | None) -> float:
    return float(header) if header is not None and header.isdecimal() else PAUSE
