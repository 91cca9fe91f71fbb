"""The client on a running server, and without one."""

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from meshwright.client import Client, ClientError
from meshwright.runtime.files.gltf.encoding import png_bytes
from meshwright.runtime.files.reader import read_mesh
from tests.runtime.server.conftest import SHORT, server  # noqa: F401  the fixture

CLIENT = Path(__file__).parents[3] / "runtime/client/__init__.py"


def test_from_a_prompt_to_a_file(server, tmp_path):  # noqa: F811
    task = server.client.submit(**SHORT)
    kinds = [event.type for event in server.client.events(task["id"])]
    assert kinds[-1] == "end" and "step" in kinds
    path = server.client.download(task["id"], "result.glb", tmp_path / "chair.glb")
    assert path.read_bytes()[:4] == b"glTF" and list(tmp_path.iterdir()) == [path]
    again = server.client.submit(type="refine", mesh=path, prompt="a blue chair", texture=64)
    assert again["request"]["mesh"] == {"file": "mesh.glb"}
    server.client.cancel(again["id"])
    with pytest.raises(ClientError, match="cancelled"):
        server.client.wait(again["id"])
    server.client.delete(again["id"])
    with pytest.raises(ClientError) as caught:
        server.client.task(again["id"])
    assert caught.value.status == 404


def test_a_new_texture(server, tmp_path):  # noqa: F811
    """The mesh that comes back is the one that was sent, but for its texture."""
    mesh = server.client.download(server.client.wait(server.client.submit(**SHORT)["id"])["id"], "result.glb", tmp_path / "chair.glb")
    task = server.client.wait(server.client.submit(type="texture", mesh=mesh, prompt="a blue table", texture=64)["id"])
    made = server.client.download(task["id"], "result.glb", tmp_path / "table.glb")
    before, after = (read_mesh(path) for path in (mesh, made))
    for name in ("vertices", "faces", "uvs"):
        np.testing.assert_array_equal(getattr(before.original, name), getattr(after.original, name))
    assert not np.array_equal(before.mesh.texture, after.mesh.texture)


def test_what_the_server_refuses_is_said_field_by_field(server):  # noqa: F811
    with pytest.raises(ClientError, match="/seed expected 0 to") as caught:
        server.client.submit(prompt="a chair", seed=-1, views=[(90, png_bytes(np.zeros((2, 2, 3), np.uint8)))])
    assert caught.value.status == 422 and caught.value.problem["errors"][0]["pointer"] == "/seed"


def test_a_file_that_is_not_there_leaves_nothing_behind(server, tmp_path):  # noqa: F811
    with pytest.raises(ClientError):
        server.client.download("0" * 32, "result.glb", tmp_path / "chair.glb")
    assert not list(tmp_path.iterdir())


def test_no_server(monkeypatch):
    monkeypatch.setattr("meshwright.client.PAUSE", 0.01)
    with pytest.raises(ClientError, match="no server answers at http://127.0.0.1:1"):
        Client("http://127.0.0.1:1", retries=1).submit(prompt="a chair")


def test_a_busy_server_is_asked_again_with_the_same_key():
    seen: list[tuple[str, str]] = []

    class Busy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            seen.append((self.path, self.headers["idempotency-key"]))
            body = b'{"id": "x"}' if len(seen) > 2 else b'{"title": "the queue is full"}'
            self.send_response(202 if len(seen) > 2 else 429)
            self.send_header("retry-after", "0")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    busy = HTTPServer(("127.0.0.1", 0), Busy)
    thread = threading.Thread(target=busy.serve_forever)
    thread.start()
    try:
        assert Client(f"http://127.0.0.1:{busy.server_port}").submit(prompt="a chair") == {"id": "x"}
    finally:
        busy.shutdown()
        busy.server_close()
        thread.join()
    assert len(seen) == 3 and len(set(seen)) == 1


def test_it_needs_the_standard_library_alone():
    program = f"import sys; sys.path.insert(0, {str(CLIENT.parents[1])!r}); import client; print(client.ADDRESS)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("http://127.0.0.1:8188", "")
