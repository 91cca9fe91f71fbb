"""What local servers got wrong elsewhere, against a running one."""

import base64
import json
import re
import socket
import stat
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from tests.processes import wait_for
from tests.runtime.server.conftest import SHORT

BODY = json.dumps(SHORT)


def raw(server, request: bytes) -> bytes:
    """What the server answers to these bytes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "127.0.0.1:1", "127.0.0.1",
                                  "localhost", "", "127.0.0.1:{port}@evil.example"])
def test_a_name_that_was_pointed_at_this_machine_is_refused(server, host):
    head = f"GET /v1/tasks HTTP/1.1\r\nHost: {host.format(port=server.port)}\r\nConnection: close\r\n\r\n"
    assert status_of(raw(server, head.encode())) in (400, 421)


def test_no_host_and_two_hosts_are_refused(server):
    own = f"Host: 127.0.0.1:{server.port}\r\n"
    assert status_of(raw(server, b"GET /v1/tasks HTTP/1.0\r\n\r\n")) == 421
    assert status_of(raw(server, f"GET / HTTP/1.1\r\n{own}Host: evil.example\r\nConnection: close\r\n\r\n".encode())) in (400, 421)
    assert status_of(raw(server, f"GET /healthz HTTP/1.1\r\n{own}Connection: close\r\n\r\n".encode())) == 200


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_every_name_of_this_machine_is_taken(server, name):
    assert server.ask("GET", "/healthz", headers={"host": f"{name}:{server.port}"})[0] == 200


@pytest.mark.parametrize("headers", [
    {"origin": "https://evil.example"}, {"origin": "null"}, {"origin": "http://127.0.0.1:1"}, {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"}, {"origin": "http://localhost.evil.example"},
])
def test_a_page_from_elsewhere_changes_nothing(server, headers):
    before = len(server.client.tasks(limit=100))
    for method, path in (("POST", "/v1/tasks"), ("POST", "/v1/3d/generations"), ("POST", "/v1/tasks/x/cancel"), ("DELETE", "/v1/tasks/x")):
        assert server.ask(method, path, BODY, headers)[0] == 403
    assert len(server.client.tasks(limit=100)) == before


def test_its_own_page_may(server):
    headers = {"origin": f"http://localhost:{server.port}", "sec-fetch-site": "same-origin"}
    assert server.ask("POST", "/v1/tasks", BODY, headers)[0] == 202


def test_nothing_may_be_read_from_other_pages(server):
    import http.client

    for method in ("GET", "OPTIONS"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request(method, "/v1/tasks", headers={"origin": "https://evil.example", "access-control-request-method": "POST"})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        assert "default-src 'self'" in answer.headers["content-security-policy"] and answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/json5", "text/json"])
def test_only_json_and_marked_forms_are_read(server, kind):
    assert server.ask("POST", "/v1/tasks", BODY.encode(), {"content-type": kind})[0] == 415


@pytest.mark.parametrize("path", ["/v1/tasks/{id}/cancel", "/v1/3d/generations"])
def test_get_changes_nothing(server, path):
    id = server.ask("POST", "/v1/tasks", BODY)[1]["id"]
    assert server.ask("GET", path.format(id=id))[0] == 405
    assert not server.client.task(id)["state"] == "CANCELED"
    server.client.cancel(id)


def test_bodies_are_counted_whether_they_say_their_size_or_not(start):
    server = start("--max-body", 1)
    head = f"POST /v1/tasks HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
    # The head alone: the server may close before a body of that size is sent.
    answer = raw(server, f"{head}Content-Length: {(1 << 20) + 1}\r\n\r\n".encode())
    assert status_of(answer) == 413 and b"the body is too large" in answer
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    try:
        answer = raw(server, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk * 40)
    except ConnectionError:  # it closes before all of it is sent
        answer = b" 413 "
    assert status_of(answer) == 413
    assert status_of(raw(server, f"{head}Content-Length: 99999999999\r\n\r\n".encode())) == 413
    assert server.ask("GET", "/healthz")[0] == 200


@pytest.mark.parametrize("body, statuses", [
    ("[" * 9000, (400,)), ('{"a":' * 9000, (413,)), ('{"a": [' + "0," * 9000 + "0]}", (413,)), ('{"seed": ' + "9" * 5000 + "}", (400,)),
])
def test_json_is_limited_in_depth_and_size(server, body, statuses):
    status, problem = server.ask("POST", "/v1/tasks", body)
    assert status in statuses and problem["status"] == status


@pytest.mark.parametrize("value", ["http://127.0.0.1/x.png", "https://evil.example/x.png", "file:///etc/passwd", "/etc/passwd",
                                   "data:image/png;base64,http://x"])
def test_nothing_is_fetched(server, value):
    status, problem = server.ask("POST", "/v1/tasks", json.dumps({"prompt": "a mug", "image": value}))
    assert (status, [error["pointer"] for error in problem["errors"]]) == (422, ["/image"])


def png_of(width: int, height: int) -> bytes:
    """A small file that says it is a large picture."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1 << 20))) + chunk(b"IEND", b"")


def glb_of(count: int) -> bytes:
    """A small file that says it has many vertices."""
    document = json.dumps({
        "asset": {"version": "2.0"}, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}], "buffers": [{"byteLength": 36}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}], "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": count, "type": "VEC3"}]}).encode()
    document += b" " * (-len(document) % 4)
    parts = struct.pack("<I4s", len(document), b"JSON") + document + struct.pack("<I4s", 36, b"BIN\0") + bytes(36)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(parts)) + parts


@pytest.mark.parametrize("options", [
    {"prompt": "a mug", "image": png_of(60_000, 60_000)},
    {"type": "finish", "mesh": glb_of(1 << 30)},
    {"type": "finish", "mesh": glb_of(3)[:-36] + bytes(36)[:35] + b"\1"},  # whole, and of no use
], ids=["picture", "mesh", "degenerate mesh"])
def test_files_that_say_they_are_large_take_no_memory(server, options):
    encoded = {name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in options.items()}
    assert wait_for(server.workers)
    most = Path(f"/proc/{server.workers()[0]}/status")
    status, task = server.ask("POST", "/v1/tasks", json.dumps(encoded))
    if status == 202:
        assert wait_for(lambda: server.state(task["id"]) == "FAILED")
        error = server.client.task(task["id"])["error"]
    else:
        assert status == 422
        error = json.dumps(task)
    assert error and str(server.data) not in error and "internal error" not in error
    assert int(re.search(r"VmHWM:\s+(\d+)", most.read_text())[1]) < 1_000_000  # KB


def test_heads_are_limited(server):
    own = f"Host: 127.0.0.1:{server.port}\r\nConnection: close\r\n"
    assert status_of(raw(server, f"GET /{'x' * 9000} HTTP/1.1\r\n{own}\r\n".encode())) in (400, 431)
    assert raw(server, f"GET / HTTP/1.1\r\n{own}{'A: b' * 8000}\r\n\r\n".encode())[:13] in (b"", b"HTTP/1.1 400 ", b"HTTP/1.1 431 ")
    many = "".join(f"X-{i}: 1\r\n" for i in range(200))
    assert status_of(raw(server, f"GET / HTTP/1.1\r\n{own}{many}\r\n".encode())) == 431


def test_a_token_is_needed_for_everything_but_being_there(start, tmp_path):
    token = "s3cret-s3cret-s3cret"
    (tmp_path / "token").write_text(token + "\n")
    server = start("--token-file", tmp_path / "token")
    assert server.ask("GET", "/healthz")[0] == 200
    for given in (None, "Bearer wrong-wrong-wrong-wrong", f"Basic {token}", "Bearer ", token, "Bearer \xff"):
        headers = {} if given is None else {"authorization": given}
        for method, path in (("GET", "/v1/tasks"), ("POST", "/v1/tasks"), ("GET", "/metrics"), ("GET", "/openapi.json")):
            assert server.ask(method, path, BODY if method == "POST" else None, headers)[0] == 401
    assert server.ask("GET", "/v1/tasks", headers={"authorization": f"bearer {token}"})[0] == 200


@pytest.mark.parametrize("options, said", [
    (["--host", "0.0.0.0"], "needs a token"), (["--host", "::"], "needs a token"), (["--host", "192.0.2.1"], "needs a token"),
    (["--token-file", "short"], "at least 16"), (["--token-file", "missing"], "cannot be read"), (["--port", "70000"], "cannot listen"),
    (["--pack", "nothing"], "nothing"),
])
def test_what_is_refused_before_anything_is_started(options, said, tmp_path):
    (tmp_path / "short").write_text("abc")
    done = subprocess.run([sys.executable, "-m", "meshwright.runtime.cli.main", "serve", "--data", "data", "--port", "0", *options],
                          capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "data" / "tasks.sqlite").exists()


def test_a_port_and_a_folder_belong_to_one_server(server, tmp_path):
    def tried(*options: object) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-m", "meshwright.runtime.cli.main", "serve", *map(str, options)],
                              capture_output=True, text=True, timeout=60)

    taken = tried("--data", tmp_path / "other", "--port", server.port)
    assert taken.returncode == 2 and "cannot listen" in taken.stderr
    used = tried("--data", server.data, "--port", 0)
    assert used.returncode == 2 and "used by another server" in used.stderr


def test_other_users_cannot_look_into_the_folder(server):
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
