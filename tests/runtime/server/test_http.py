"""The HTTP interface of a running server."""

import base64
import http.client
import json
import socket
import uuid
from pathlib import Path

import numpy as np
import pytest

from meshwright.runtime.files.gltf.encoding import png_bytes
from meshwright.runtime.files.reader import read_mesh
from tests.processes import wait_for
from tests.runtime.server.conftest import LONG, SHORT

PNG = png_bytes(np.zeros((8, 8, 3), np.uint8))


def submitted(server, **options) -> dict:
    status, task = server.ask("POST", "/v1/tasks", json.dumps(options))
    assert status == 202, task
    return task


@pytest.fixture(scope="module")
def done(server) -> dict:
    """A task that has succeeded."""
    return server.client.wait(submitted(server, **SHORT)["id"])


def sent_events(server, id: str, **headers: str) -> list[tuple[str | None, str, dict]]:
    """(id, type, data) of every event until the stream ends."""
    status, body = server.ask("GET", f"/v1/tasks/{id}/events", headers=headers)
    assert status == 200
    found = []
    for block in body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            found.append((fields.get("id"), fields["event"], json.loads(fields["data"])))
    return found


def test_a_prompt_becomes_a_mesh(server, tmp_path):
    task = submitted(server, **SHORT)
    assert task["state"] in ("PENDING", "IN_PROGRESS") and task["request"]["prompt"] == "a red chair"
    events = sent_events(server, task["id"])
    kinds = [kind for _, kind, _ in events]
    assert kinds[-1] == "end" and events[-1][2] == {"state": "SUCCEEDED", "error": None}
    assert {"stage", "step", "file"} <= set(kinds)
    assert [data["name"] for _, kind, data in events if kind == "file"] == ["coarse.glb", "views.png"]
    progress = [data["progress"] for _, _, data in events if "progress" in data]
    assert progress == sorted(progress) and 0 <= progress[0] < progress[-1] < 100
    done = server.ask("GET", f"/v1/tasks/{task['id']}")[1]
    assert (done["state"], done["progress"], done["attempts"]) == ("SUCCEEDED", 100, 1)
    assert {file["name"] for file in done["files"]} == {"coarse.glb", "views.png", "result.glb", "preview.png"}
    assert done["timings"]["total"] > 0
    for file in done["files"]:
        status, data = server.ask("GET", file["url"])
        assert (status, len(data)) == (200, file["bytes"])
        (tmp_path / file["name"]).write_bytes(data)
    assert len(read_mesh(tmp_path / "result.glb").mesh.faces) > 100


def test_events_go_on_where_a_client_was(server, done):
    task = done
    numbered = [id for id, _, _ in sent_events(server, task["id"]) if id is not None]
    assert numbered == [str(i + 1) for i in range(len(numbered))]
    assert [id for id, _, _ in sent_events(server, task["id"], **{"last-event-id": numbered[-3]})] == numbered[-2:]
    assert sent_events(server, task["id"], **{"last-event-id": numbered[-1]}) == []
    assert server.ask("GET", f"/v1/tasks/{task['id']}/events", headers={"last-event-id": "x"})[0] == 422


def test_files_have_ranges_and_tags(server, done):
    url = next(file["url"] for file in done["files"] if file["name"] == "result.glb")
    assert server.ask("GET", url, headers={"range": "bytes=0-3"}) == (206, b"glTF")
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("HEAD", url)
    tag = connection.getresponse().headers["etag"]
    connection.close()
    assert server.ask("GET", url, headers={"if-range": tag, "range": "bytes=4-7"}) == (206, (2).to_bytes(4, "little"))
    assert server.ask("GET", url, headers={"range": "bytes=99999999-"})[0] == 416
    assert server.ask("GET", url, headers={"if-none-match": f'"other", {tag}'}) == (304, b"")
    assert server.ask("GET", url, headers={"if-none-match": '"other"', "range": "bytes=0-3"}) == (206, b"glTF")


def test_a_mesh_is_redrawn_and_other_formats_are_written(server, done):
    mesh = server.ask("GET", done["links"]["self"] + "/files/result.glb")[1]
    body = {"type": "refine", "mesh": base64.b64encode(mesh).decode(), "prompt": "a blue chair", "texture": 64, "format": "obj"}
    redrawn = server.client.wait(submitted(server, **body)["id"])
    assert {"result.obj", "result.mtl", "result_color.png", "preview.png"} <= {file["name"] for file in redrawn["files"]}


def test_a_mesh_is_made_ready_for_an_engine_without_networks(server, done):
    mesh = server.ask("GET", done["links"]["self"] + "/files/result.glb")[1]
    body = {"type": "finish", "mesh": base64.b64encode(mesh).decode(), "for": "web", "faces": 60, "texture": 64, "name": "chair"}
    task = submitted(server, **body)
    stages = [data["stage"] for _, kind, data in sent_events(server, task["id"]) if kind == "stage"]
    assert stages == ["repair", "level 0"]
    assert {file["name"] for file in server.client.task(task["id"])["files"]} == {"chair.glb", "preview.png"}


def test_a_form_with_files(server, done):
    mesh = server.ask("GET", done["links"]["self"] + "/files/result.glb")[1]
    boundary = uuid.uuid4().hex
    parts = [(f'name="{name}"', value) for name, value in (("type", b"refine"), ("prompt", b"a blue chair"), ("texture", b"64"))]
    parts.append(('name="mesh"; filename="../../etc/passwd"', mesh))
    body = b"".join(b"--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (boundary.encode(), head.encode(), value)
                    for head, value in parts) + f"--{boundary}--\r\n".encode()
    kind = {"content-type": f"multipart/form-data; boundary={boundary}"}
    assert server.ask("POST", "/v1/tasks", body, kind)[0] == 403  # what a page of another site can send too
    status, task = server.ask("POST", "/v1/tasks", body, {**kind, "x-meshwright": "1"})
    assert status == 202 and task["request"]["mesh"] == {"file": "mesh.glb"} and task["request"]["texture"] == 64
    server.client.cancel(task["id"])
    assert server.ask("POST", "/v1/tasks", body[:-40], {**kind, "x-meshwright": "1"})[0] in (400, 422)
    assert server.ask("POST", "/v1/tasks", b"x", {"content-type": "multipart/form-data", "x-meshwright": "1"})[0] == 400


def test_cancelling_takes_effect_between_steps(server):
    running, waiting = submitted(server, **LONG), submitted(server, **LONG)
    assert wait_for(lambda: server.client.task(running["id"])["state"] == "IN_PROGRESS")
    assert server.ask("DELETE", f"/v1/tasks/{running['id']}")[0] == 409
    status, task = server.ask("POST", f"/v1/tasks/{waiting['id']}/cancel")
    assert (status, task["state"]) == (200, "CANCELED")
    assert server.ask("POST", f"/v1/tasks/{running['id']}/cancel")[0] == 202
    assert sent_events(server, running["id"])[-1][2]["state"] == "CANCELED"
    assert server.ask("DELETE", f"/v1/tasks/{running['id']}") == (204, b"")
    assert server.ask("GET", f"/v1/tasks/{running['id']}")[0] == 404
    assert not list(server.data.glob(f"tasks/{running['id']}"))


def test_a_repeat_with_the_same_key_is_the_same_task(server):
    body, key = json.dumps(SHORT), {"idempotency-key": "one"}
    first, again = server.ask("POST", "/v1/tasks", body, key), server.ask("POST", "/v1/tasks", body, key)
    assert (first[0], again[0]) == (202, 200) and first[1]["id"] == again[1]["id"]
    assert server.ask("POST", "/v1/tasks", json.dumps({**SHORT, "seed": 1}), key)[0] == 409
    assert server.ask("POST", "/v1/tasks", body, {"idempotency-key": "x" * 256})[0] == 400


def test_the_blocking_endpoint_answers_with_the_mesh(server):
    body = {"model": None, "prompt": "a red chair", "seed": 3, "n": 1, "response_format": "glb"}
    status, data = server.ask("POST", "/v1/3d/generations", json.dumps(body))
    assert status == 200 and data[:4] == b"glTF" and int.from_bytes(data[8:12], "little") == len(data)
    status, problem = server.ask("POST", "/v1/3d/generations", json.dumps({**body, "response_format": "fbx", "size": 3}))
    assert status == 422 and [error["pointer"] for error in problem["errors"]] == ["/size", "/response_format"]


def test_a_client_that_goes_away_takes_its_task_with_it(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    blocker = submitted(server, **LONG)
    connection.request("POST", "/v1/3d/generations", json.dumps({"prompt": "a chair that nobody waits for"}),
                       {"content-type": "application/json"})

    def mine() -> dict | None:
        return next((task for task in server.client.tasks() if task["request"].get("prompt") == "a chair that nobody waits for"), None)

    assert wait_for(mine)
    connection.close()
    assert wait_for(lambda: mine()["state"] == "CANCELED")
    server.client.cancel(blocker["id"])


def test_a_picture_that_cannot_be_read_fails_without_the_names_of_our_folders(server):
    task = submitted(server, image=base64.b64encode(PNG[:40]).decode(), prompt="a mug")
    state, error = (lambda end: (end["state"], end["error"]))(sent_events(server, task["id"])[-1][2])
    assert state == "FAILED" and "image.png" in error and str(server.data) not in error and "/" not in error


def test_a_task_says_where_it_is(server):
    """For clients that cannot read streams of events."""
    running, waiting = submitted(server, **LONG), submitted(server, **SHORT)
    assert (waiting["stage"], waiting["position"] >= 1) == (None, True)
    assert wait_for(lambda: server.client.task(running["id"])["stage"] == "coarse shape")
    for task in (waiting, running):
        server.client.cancel(task["id"])
    assert wait_for(lambda: server.client.task(running["id"])["stage"] is None)


def test_event_streams_that_are_dropped_leave_nothing_behind(server):
    running, waiting = submitted(server, **LONG), submitted(server, **SHORT)
    folder = Path(f"/proc/{server.process.pid}/fd")
    before = len(list(folder.iterdir()))
    opened = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    for connection in opened:
        connection.sendall(f"GET /v1/tasks/{waiting['id']}/events HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
    for connection in opened:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert b"meshwright_event_streams 200\n" in server.ask("GET", "/metrics")[1]
    for connection in opened:
        connection.close()
    assert wait_for(lambda: b"meshwright_event_streams 0\n" in server.ask("GET", "/metrics")[1])
    assert wait_for(lambda: len(list(folder.iterdir())) <= before)
    for task in (waiting, running):
        server.client.cancel(task["id"])


def test_lists_have_pages(server):
    ids = [submitted(server, **SHORT)["id"] for _ in range(3)]
    for id in ids:
        server.client.cancel(id)
    page = server.ask("GET", "/v1/tasks?limit=2")[1]
    assert [task["id"] for task in page["tasks"]] == [ids[2], ids[1]]
    assert server.ask("GET", f"/v1/tasks?limit=1&before={page['next_before']}")[1]["tasks"][0]["id"] == ids[0]
    status, problem = server.ask("GET", "/v1/tasks?limit=0&state=LOST&before=-1")
    assert status == 422 and [error["pointer"] for error in problem["errors"]] == ["/state", "/before", "/limit"]


def test_what_it_says_of_itself(server):
    assert server.ask("GET", "/healthz") == (200, b"ok\n")
    assert wait_for(lambda: server.ask("GET", "/readyz")[0] == 200)
    assert server.ask("GET", "/v1/packs")[1]["packs"][0]["license"]["commercial_use"] in ("yes", "no", "unknown")
    text = server.ask("GET", "/metrics")[1].decode()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert values["meshwright_workers_ready"] == "1" and float(values['meshwright_resident_bytes{process="worker 0"}']) > 1e7
    document = server.ask("GET", "/openapi.json")[1]
    assert document["openapi"].startswith("3.1") and "/v1/tasks/{id}/events" in document["paths"]
    assert b"<!doctype html>" in server.ask("GET", "/")[1].lower()


@pytest.mark.parametrize("path", ["/v1/tasks/" + "0" * 32, "/v1/tasks/..%2f..%2fetc", "/v1/tasks/x/files/result.glb", "/v1/nothing",
                                  "/..%2f..%2fpyproject.toml", "/%2e%2e/%2e%2e/etc/passwd", "/static/../command.py"])
def test_what_is_not_there(server, path):
    status, answer = server.ask("GET", path)
    assert status == 404 and answer["status"] == 404


def test_files_of_a_task_are_those_it_names(server, done):
    here = done["links"]["self"]
    for name in ("../../../tasks.sqlite", "..%2f..%2f..%2ftasks.sqlite", "%2e%2e%2finput%2fimage.png", "result.glb%00.png", ".", ""):
        assert server.ask("GET", f"{here}/files/{name}")[0] == 404


@pytest.mark.slow
def test_a_full_queue_says_when_to_come_again(start):
    server = start("--max-queue", 1)
    submitted(server, **LONG)
    assert wait_for(lambda: server.client.tasks(state="IN_PROGRESS"))
    waiting = submitted(server, **LONG)
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("POST", "/v1/tasks", json.dumps(LONG), {"content-type": "application/json"})
    answer = connection.getresponse()
    assert (answer.status, json.load(answer)["title"], answer.headers["retry-after"]) == (429, "the queue is full", "5")
    assert answer.headers["content-type"] == "application/problem+json"
    connection.close()
    server.client.cancel(waiting["id"])
    submitted(server, **LONG)
