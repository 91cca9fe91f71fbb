"""Where the bytes of a glTF file are: in its container, in data URIs, and beside it, in its folder only."""

import base64
import json
import os
from urllib.parse import quote

import numpy as np
import pytest

from meshwright.engines.errors import InputError
from meshwright.runtime.files.gltf.reader import read_glb
from meshwright.runtime.files.reader import read_mesh
from tests.runtime.files.gltf_files import CORNERS, triangle


def test_buffers_in_data_uris():
    file = triangle()
    packed = base64.b64encode(file.blob).decode()
    for uri in (f"data:application/octet-stream;base64,{packed}", f"data:;base64,{packed.rstrip('=')}",
                f"DATA:;BASE64,{packed[:8]}\n{packed[8:]}", f"data:application/gltf-buffer;base64,{quote(packed)}",
                "data:," + quote(file.blob)):
        for data in (file.gltf(uri), file.glb(chunk=False, uri=uri)):
            scene = read_glb(data, None)
            np.testing.assert_array_equal(scene.parts[0].vertices, CORNERS)
            assert scene.sources == ()


@pytest.mark.parametrize(("name", "uri"), [
    ("a.bin", "a.bin"), ("with space.bin", "with%20space.bin"), ("with space.bin", "with space.bin"), ("100%25.bin", "100%25.bin"),
    ("stühle.bin", "st%C3%BChle.bin"), ("stühle.bin", "stühle.bin"), ("sub/a.bin", "sub/a.bin"), ("sub/a.bin", "sub\\a.bin"),
    ("a.bin", "./sub/../a.bin"),
])
def test_buffers_beside_the_file(tmp_path, name, uri):
    file = triangle()
    (tmp_path / "sub").mkdir()
    (tmp_path / name).write_bytes(file.blob)
    (tmp_path / "a.gltf").write_bytes(file.gltf(uri))
    read = read_mesh(tmp_path / "a.gltf")
    assert len(read.mesh.faces) == 1 and [path.resolve() for path in read.sources] == [tmp_path / "a.gltf", tmp_path / name]


@pytest.mark.parametrize(("uri", "why"), [
    ("../out.bin", "'../out.bin' is outside the mesh's folder and is not opened"), ("OUT", "is outside"),
    ("linked.bin", "'linked.bin' is outside"), ("%2e%2e/out.bin", "is outside"), ("..\\out.bin", "is outside"),
    ("https://example.org/a.bin", "'https://example.org/a.bin' is not a file beside the mesh"),
    ("file:///etc/passwd", "is not a file beside"),
    ("C:\\a.bin", "is not a file beside"), ("nowhere.bin", "'nowhere.bin' is not there"), ("", "'' is not there"),
    ("x" * 5000, "is not there"), ("fifo.bin", "is not there"), ("device.bin", "is outside"),
    ("a%00.bin", "is not there"), ("data:;base64,A", "is not valid base64"),
    ("data:;base64", "a data URI without data"), (5, "not a string"),
], ids=lambda value: str(value)[:20])
def test_buffers_that_are_not_opened(tmp_path, uri, why):
    file = triangle()
    (tmp_path / "in").mkdir()
    (tmp_path / "out.bin").write_bytes(file.blob)
    (tmp_path / "in" / "linked.bin").symlink_to(tmp_path / "out.bin")
    (tmp_path / "in" / "device.bin").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "in" / "fifo.bin")  # nobody writes into it: who opened it would wait for ever
    (tmp_path / "in" / "a.gltf").write_bytes(file.gltf(str(tmp_path / "out.bin") if uri == "OUT" else uri))
    with pytest.raises(InputError, match=why):
        read_mesh(tmp_path / "in" / "a.gltf")


def test_a_byte_order_mark_and_padding_by_zeros_are_forgiven(tmp_path):
    file = triangle()
    for name, data in (("a.glb", file.glb(head=b"\xef\xbb\xbf")), ("b.glb", file.glb(pad=b"\0")),
                       ("c.gltf", file.gltf("data:," + quote(file.blob), head=b"\xef\xbb\xbf", tail=b"\r\n\0\0")),
                       ("named_wrongly.gltf", file.glb())):
        (tmp_path / name).write_bytes(data)
        assert len(read_mesh(tmp_path / name).mesh.faces) == 1, name


def test_a_second_buffer(tmp_path):
    file = triangle()
    document = json.loads(file.gltf("data:,"))
    document["bufferViews"][0]["buffer"] = 1
    document["buffers"].append({"byteLength": 36, "uri": "data:," + quote(file.blob)})
    assert len(read_glb(json.dumps(document).encode(), tmp_path).parts) == 1
