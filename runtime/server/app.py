"""The HTTP interface: tasks, their events and files, and the page."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from .metrics import metrics
from .openapi import openapi
from .problems import Problem
from .schema import FILES, OPTIONS
from .service import Service
from .store import STATES, SUCCEEDED, KeyReused, QueueFull, Task
from .streams import ended, task_events
from .submission import parsed, submission

STATIC = Path(__file__).with_name("static")
MEDIA_TYPES = {".glb": "model/gltf-binary", ".obj": "model/obj", ".mtl": "model/mtl", ".stl": "model/stl", ".png": "image/png"}
# What a blocking request may say and need not.
ONLY = {"n": 1, "response_format": "glb"}
OTHER_TYPE = "application/octet-stream"
FULL, CLIENT_CLOSED = 507, 499
# Seconds that a client should wait before it tries a full queue again.
RETRY = 5
MAX_PAGE, MAX_KEY = 100, 255
KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")
# Bodies that are decoded at a time: each takes some times its size.
DECODED_AT_A_TIME = 2
# A page of another site can send a form, but not with a header of its own.
FORM_HEADER = "x-meshwright"


def make_app(service: Service) -> Starlette:
    """The application, without what guards it (`Guard`)."""
    handlers = _Handlers(service)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            await to_thread.run_sync(service.stop)

    task = "/v1/tasks/{id}"
    return Starlette(lifespan=lifespan, exception_handlers={
        Problem: lambda _, error: error.response(),
        HTTPException: lambda _, error: Problem(error.status_code, error.detail, headers=error.headers).response(),
        sqlite3.Error: lambda _, error: Problem(FULL, "the queue cannot be written", "the disk may be full").response(),
        Exception: lambda _, error: Problem(500, "internal error").response(),
    }, routes=[
        _route("/v1/tasks", GET=handlers.list, POST=handlers.submit), _route(task, GET=handlers.get, DELETE=handlers.delete),
        Route(f"{task}/events", handlers.events, methods=["GET"]), Route(f"{task}/cancel", handlers.cancel, methods=["POST"]),
        Route(f"{task}/files/{{name}}", handlers.file, methods=["GET"]),
        Route("/v1/3d/generations", handlers.generations, methods=["POST"]),
        Route("/v1/packs", handlers.packs, methods=["GET"]),
        Route("/openapi.json", handlers.openapi, methods=["GET"]), Route("/healthz", handlers.healthz, methods=["GET"]),
        Route("/readyz", handlers.readyz, methods=["GET"]), Route("/metrics", handlers.metrics, methods=["GET"]),
        Route("/", lambda request: FileResponse(STATIC / "index.html"), methods=["GET"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ])


def _route(path: str, **handlers: Callable[[Request], Awaitable[Response]]) -> Route:
    """One route for all methods of a path, so that a method it does not have is answered with those that it has."""
    async def handle(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, handle, methods=list(handlers))


class _Handlers:
    """One method for each route."""

    def __init__(self, service: Service) -> None:
        self.service, self.store = service, service.store
        self._decoding = CapacityLimiter(DECODED_AT_A_TIME)

    async def submit(self, request: Request) -> Response:
        fields = await self._fields(request)
        task, new = await self._accept(fields, request.headers.get("idempotency-key"))
        return JSONResponse(self._public(task), 202 if new else 200, {"location": f"/v1/tasks/{task.id}"})

    async def list(self, request: Request) -> Response:
        query = request.query_params
        state, before, limit = query.get("state"), query.get("before"), query.get("limit", "50")
        wrong = [] if state is None or state in STATES else [("/state", f"expected one of {', '.join(STATES)}")]
        wrong += [] if before is None or re.fullmatch(r"[0-9]{1,18}", before) else [("/before", "expected a number")]
        wrong += [] if re.fullmatch(r"[0-9]{1,3}", limit) and 1 <= int(limit) <= MAX_PAGE else [("/limit", f"expected 1 to {MAX_PAGE}")]
        if wrong:
            raise Problem(422, "the query is wrong", faults=wrong)
        number = None if before is None else int(before)
        tasks = await to_thread.run_sync(lambda: self.store.newest(state=state, before=number, limit=int(limit)))
        more = tasks[-1].number if len(tasks) == int(limit) else None
        return JSONResponse({"tasks": [self._public(task) for task in tasks], "next_before": more})

    async def get(self, request: Request) -> Response:
        return JSONResponse(self._public(self._task(request)))

    async def delete(self, request: Request) -> Response:
        task = self._task(request)
        if not await to_thread.run_sync(self.service.delete, task.id):
            raise Problem(409, "the task has not ended", "cancel it first")
        return Response(status_code=204)

    async def cancel(self, request: Request) -> Response:
        task = await to_thread.run_sync(self.service.cancel, self._task(request).id)
        if task is None:
            raise _not_found()
        return JSONResponse(self._public(task), 200 if task.ended is not None else 202)

    async def events(self, request: Request) -> Response:
        task = self._task(request)
        after = request.headers.get("last-event-id", request.query_params.get("after", "0"))
        if not re.fullmatch(r"[0-9]{1,12}", after):
            raise Problem(422, "the query is wrong", faults=[("/after", "expected the id of an event")])
        return StreamingResponse(task_events(self.store, self.service.hub, task.id, int(after)), media_type="text/event-stream",
                                 headers={"cache-control": "no-store", "x-accel-buffering": "no"})

    async def file(self, request: Request) -> Response:
        task, name = self._task(request), request.path_params["name"]
        if name not in task.files:  # the names are the worker's: none of them leads anywhere else
            raise _not_found()
        path = self.service.folder.output(task.id, task.attempts) / name
        if not path.is_file():
            raise _not_found()
        kept = {"cache-control": "private, max-age=3600" if task.ended is not None else "no-cache"}
        whole = FileResponse(path, media_type=MEDIA_TYPES.get(path.suffix, OTHER_TYPE), headers=kept, stat_result=path.stat())
        if whole.headers["etag"] in re.split(r"\s*,\s*", request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers={**kept, "etag": whole.headers["etag"]})
        return whole

    async def generations(self, request: Request) -> Response:
        """As Lemonade's: waits for the result and answers with it."""
        body = await self._json(request)
        known = {"model": "pack", "prompt": "prompt", "image": "image", "seed": "seed"}
        names = (*known, *ONLY)
        wrong = [(f"/{name[:64]}", f"unknown option; expected {', '.join(names)}") for name in body if name not in names]
        wrong += [(f"/{name}", f"expected {only!r}") for name, only in ONLY.items()
                  if body.get(name, only) != only]
        if wrong:
            raise Problem(422, "the request is wrong", faults=wrong)
        task, _ = await self._accept({known[name]: value for name, value in body.items() if name in known},
                                     request.headers.get("idempotency-key"))
        try:
            await self._ended_while_connected(request, task.id)
        except ClientDisconnect:
            await to_thread.run_sync(self.service.cancel, task.id)
            return Response(status_code=CLIENT_CLOSED)
        done = self.store.get(task.id)
        if done is not None and done.ended is None:
            raise Problem(503, "the server stops", "the task goes on when it is started again: see Location",
                          headers={"retry-after": str(RETRY), "location": f"/v1/tasks/{task.id}"})
        if done is None or done.state != SUCCEEDED:
            raise Problem(500, "the task failed", (done and done.error) or "it was cancelled")
        path = self.service.folder.output(done.id, done.attempts) / f"{done.request['name']}.glb"
        return FileResponse(path, media_type=MEDIA_TYPES[".glb"], headers={"location": f"/v1/tasks/{task.id}"})

    async def packs(self, request: Request) -> Response:
        return JSONResponse({"packs": self.service.describe_packs()})

    async def openapi(self, request: Request) -> Response:
        return JSONResponse(openapi(self.service.packs))

    async def healthz(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(self, request: Request) -> Response:
        if not self.service.supervisor.ready:
            raise Problem(503, "no worker is ready", self.service.supervisor.reason, headers={"retry-after": "1"})
        return PlainTextResponse("ok\n")

    async def metrics(self, request: Request) -> Response:
        return PlainTextResponse(await to_thread.run_sync(metrics, self.service), media_type="text/plain; version=0.0.4")

    async def _fields(self, request: Request) -> dict[str, Any]:
        """The options in a body: JSON, or a form whose files stand for pictures and meshes."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            if FORM_HEADER not in request.headers:
                raise Problem(403, "a form needs the header X-Meshwright", "send it with any value: pages of other sites cannot")
            return await _form(request)
        return await self._json(request)

    async def _json(self, request: Request) -> dict[str, Any]:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Problem(415, "the body is of another type", "expected application/json; for tasks, multipart/form-data too")
        return await to_thread.run_sync(parsed, await request.body(), limiter=self._decoding)

    async def _accept(self, fields: Mapping[str, Any], key: str | None) -> tuple[Task, bool]:
        if key is not None and not KEY.match(key):
            raise Problem(400, "the Idempotency-Key is wrong", f"expected 1 to {MAX_KEY} printable ASCII characters")
        accepted = await to_thread.run_sync(submission, fields, self.service.packs, limiter=self._decoding)
        try:
            return await to_thread.run_sync(self.service.submit, accepted, key)
        except QueueFull:
            raise Problem(429, "the queue is full", headers={"retry-after": str(RETRY)}) from None
        except KeyReused:
            raise Problem(409, "the Idempotency-Key belongs to another request") from None

    async def _ended_while_connected(self, request: Request, id: str) -> None:
        """Wait for a task's end; ClientDisconnect once nobody waits for it any more."""
        waiting = asyncio.ensure_future(ended(self.store, self.service.hub, id))
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise ClientDisconnect
        finally:
            waiting.cancel()
            gone.cancel()

    def _task(self, request: Request) -> Task:
        task = self.store.get(request.path_params["id"])
        if task is None:
            raise _not_found()
        return task

    def _public(self, task: Task) -> dict[str, Any]:
        """A task as JSON."""
        here = f"/v1/tasks/{task.id}"
        return {
            "id": task.id, "state": task.state, "progress": task.progress, "request": task.request,
            "position": self.store.position(task) if task.state == "PENDING" else None,
            "stage": self.store.stage(task.id) if task.state == "IN_PROGRESS" else None,
            "created_at": _time(task.created), "started_at": _time(task.started), "ended_at": _time(task.ended), "attempts": task.attempts,
            "error": task.error, "timings": task.timings,
            "files": [{"name": name, "bytes": size, "url": f"{here}/files/{name}"} for name, size in task.files.items()],
            "links": {"self": here, "events": f"{here}/events", "cancel": f"{here}/cancel"},
        }


async def _form(request: Request) -> dict[str, Any]:
    """The fields of a form: files as bytes, numbers by the schema."""
    fields: dict[str, Any] = {}
    try:
        async with request.form(max_files=len(FILES), max_fields=len(OPTIONS)) as form:
            for name, value in form.multi_items():
                if name in fields:
                    raise Problem(422, "the task is wrong", faults=[(f"/{name[:64]}", "is there twice")])
                if name in FILES:
                    fields[name] = value.encode() if isinstance(value, str) else await value.read()
                else:
                    fields[name] = _number(name, value if isinstance(value, str) else "")
    except (MultiPartException, HTTPException) as error:
        raise Problem(400, "the form cannot be read", str(getattr(error, "message", "") or getattr(error, "detail", ""))) from error
    return fields


def _number(name: str, text: str) -> Any:
    """A form has text alone; what is no number where one belongs is left for the schema to refuse."""
    try:
        return {"integer": int, "number": float}.get(OPTIONS.get(name, {}).get("type", ""), str)(text)
    except ValueError:
        return text


async def _disconnected(request: Request) -> None:
    """Returns once the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _not_found() -> Problem:
    return Problem(404, "there is no such task or file")


def _time(seconds: float | None) -> str | None:
    """RFC 3339, in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
