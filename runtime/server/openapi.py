"""The server's OpenAPI document, made from the schema that requests are checked against."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from .schema import OPTIONS, PICTURE, TASK
from .store import STATES

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
KEY = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
       "description": "a repeat with the same key gives the same task"}
GENERATION = {"type": "object", "additionalProperties": False, "properties": {
    "model": {"type": "string", "description": "a pack"}, "prompt": OPTIONS["prompt"], "image": PICTURE, "seed": OPTIONS["seed"],
    "n": {"type": "integer", "enum": [1]}, "response_format": {"type": "string", "enum": ["glb"]}}}
WHEN = {"type": ["string", "null"], "format": "date-time"}
SHOWN = {"type": "object", "required": ["id", "state", "progress"], "properties": {
    "id": {"type": "string"}, "state": {"type": "string", "enum": list(STATES)},
    "progress": {"type": "integer", "minimum": 0, "maximum": 100}, "request": {"type": "object"},
    "position": {"type": ["integer", "null"], "description": "tasks before it, while it waits"},
    "stage": {"type": ["string", "null"], "description": "what is being done, while it runs"},
    "created_at": WHEN, "started_at": WHEN, "ended_at": WHEN, "attempts": {"type": "integer"}, "error": {"type": ["string", "null"]},
    "timings": {"type": "object", "additionalProperties": {"type": "number"}, "description": "seconds of each stage"},
    "files": {"type": "array", "items": {"type": "object", "properties": {
        "name": {"type": "string"}, "bytes": {"type": "integer"}, "url": {"type": "string"}}}},
    "links": {"type": "object"}}}


def openapi(packs: Sequence[str]) -> dict[str, Any]:
    """The document (OpenAPI 3.1) of a server with these packs."""
    task = {"application/json": {"schema": {"$ref": "#/components/schemas/Task"}}}
    options = {**OPTIONS, "pack": OPTIONS["pack"] | {"enum": list(packs), "default": packs[0]}}
    form = {name: {"type": "string", "format": "binary"} if name in ("image", "mesh", "control") else schema
            for name, schema in options.items() if name != "views"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Meshwright", "version": version("meshwright"), "description": "Text or picture to textured 3D mesh."},
        "paths": {
            "/v1/tasks": {
                "post": _operation("Submit a task", "submit", _answers({"202": ("accepted", task), "200": ("known already", task)},
                    "400", "403", "409", "413", "415", "422", "429", "507"), [KEY],
                    {"application/json": {"schema": {"$ref": "#/components/schemas/NewTask"}},
                     "multipart/form-data": {"schema": {"type": "object", "additionalProperties": False, "properties": form}}}),
                "get": _operation("List tasks, the newest first", "list", _answers({"200": ("a page", {"application/json": {"schema": {
                    "type": "object", "properties": {"tasks": {"type": "array", "items": {"$ref": "#/components/schemas/Task"}},
                                                     "next_before": {"type": ["integer", "null"]}}}}})}, "422"),
                    [_query("state", {"type": "string", "enum": list(STATES)}),
                     _query("before", {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}),
                     _query("limit", {"type": "integer", "minimum": 1, "maximum": 100})])},
            "/v1/tasks/{id}": {
                "get": _operation("A task", "get", _answers({"200": ("the task", task)}, "404"), [ID]),
                "delete": _operation("Forget a task that has ended", "delete", _answers({"204": ("gone", None)}, "404", "409"), [ID])},
            "/v1/tasks/{id}/events": {"get": _operation(
                "What happens, as server-sent events: queue, stage, step, build, notice, file, end", "events",
                _answers({"200": ("a stream", {"text/event-stream": {"schema": {"type": "string"}}})}, "404", "422"),
                [ID, _query("after", {"type": "integer", "minimum": 0, "maximum": 10**12 - 1}),
                 {"name": "Last-Event-ID", "in": "header", "schema": {"type": "integer", "minimum": 0, "maximum": 10**12 - 1}}])},
            "/v1/tasks/{id}/cancel": {"post": _operation("Cancel a task", "cancel", _answers(
                {"200": ("has ended", task), "202": ("ends at its next step", task)}, "404"), [ID])},
            "/v1/tasks/{id}/files/{name}": {"get": _operation("A file of a task", "file", _answers({
                "200": ("the file", {"*/*": {"schema": {"type": "string", "format": "binary"}}}),
                "206": ("a part of it", {"*/*": {"schema": {"type": "string", "format": "binary"}}}),
                "304": ("the client has it already", None)}, "404", "416"),
                [ID, {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}])},
            "/v1/3d/generations": {"post": _operation("Make a mesh and wait for it", "generations", _answers(
                {"200": ("the mesh", {"model/gltf-binary": {"schema": {"type": "string", "format": "binary"}}})},
                "400", "409", "413", "415", "422", "429", "500", "503", "507"), [KEY], {"application/json": {"schema": GENERATION}})},
            "/v1/packs": {"get": _operation("The packs", "packs", _answers({
                "200": ("the packs", {"application/json": {"schema": {"type": "object"}}})}))},
        },
        "components": {"schemas": {"NewTask": {**TASK, "properties": options}, "Task": SHOWN, "Problem": {
            "type": "object", "required": ["status", "title"], "properties": {
                "type": {"type": "string"}, "status": {"type": "integer"}, "title": {"type": "string"}, "detail": {"type": "string"},
                "errors": {"type": "array", "items": {"type": "object", "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer into the request"}, "detail": {"type": "string"}}}}}}}},
    }


def _operation(summary: str, id: str, answers: dict[str, Any], parameters: Sequence[dict[str, Any]] = (),
               body: dict[str, Any] | None = None) -> dict[str, Any]:
    operation: dict[str, Any] = {"summary": summary, "operationId": id, "parameters": list(parameters), "responses": answers}
    return operation | ({"requestBody": {"required": True, "content": body}} if body else {})


def _answers(good: dict[str, tuple[str, dict[str, Any] | None]], *problems: str) -> dict[str, Any]:
    """Every operation may also be refused for where it comes from."""
    answers: dict[str, Any] = {status: {"description": about} | ({"content": content} if content else {})
                               for status, (about, content) in good.items()}
    return answers | {status: {"description": "refused", "content": PROBLEM} for status in ("401", "403", "421", "431", *problems)}


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}
