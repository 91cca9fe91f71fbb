"""Bodies of requests: what is taken, and what is refused by the name of its field."""

import base64
import json

import numpy as np
import pytest

from meshwright.runtime.files.gltf.encoding import png_bytes
from meshwright.runtime.server.problems import Problem
from meshwright.runtime.server.schema import OPTIONS
from meshwright.runtime.server.submission import MAX_STRUCTURE, parsed, submission

PNG = png_bytes(np.zeros((2, 2, 3), np.uint8))
GLB = b"glTF" + (2).to_bytes(4, "little") + (12).to_bytes(4, "little")


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def pointers(fields: dict) -> list[str]:
    with pytest.raises(Problem) as caught:
        submission(fields, ["props"])
    assert caught.value.status == 422
    return [pointer for pointer, _ in caught.value.faults]


def test_pictures_become_files_and_equal_requests_have_equal_fingerprints():
    plain = submission({"image": base64_of(PNG), "prompt": "a mug"}, ["props"])
    url = submission({"prompt": "a mug", "seed": None, "image": f"data:image/png;base64,{base64_of(PNG)}"}, ["props"])
    assert plain.request == {"type": "generate", "seed": 0, "format": "glb", "name": "result", "pack": "props",
                             "prompt": "a mug", "image": {"file": "image.png"}}
    assert plain.files == {"image.png": PNG}
    assert plain.fingerprint == url.fingerprint
    assert plain.fingerprint != submission({"image": base64_of(PNG + b"\0"), "prompt": "a mug"}, ["props"]).fingerprint


def test_views_keep_their_azimuths():
    made = submission({"image": PNG, "views": [{"azimuth": 90, "image": base64_of(PNG)}]}, ["props"])
    assert made.request["views"] == [{"azimuth": 90, "image": {"file": "view0.png"}}]
    assert sorted(made.files) == ["image.png", "view0.png"]


@pytest.mark.parametrize("fields, expected", [
    ({}, ["/prompt"]),
    ({"prompt": "   "}, ["/prompt"]),
    ({"prompt": "a chair", "seed": -1, "steps": 1001}, ["/seed", "/steps"]),
    ({"prompt": "a chair", "seed": True}, ["/seed"]),
    ({"prompt": "a chair", "seed": "1"}, ["/seed"]),
    ({"prompt": "a chair", "guidance": [1]}, ["/guidance"]),
    ({"prompt": "a chair", "texture": 100}, ["/texture"]),
    ({"prompt": "a chair", "format": "exe"}, ["/format"]),
    ({"prompt": "a chair", "pack": "../../etc"}, ["/pack"]),
    ({"prompt": "a chair", "image": "http://169.254.169.254/latest"}, ["/image"]),
    ({"prompt": "a chair", "image": "/etc/passwd"}, ["/image"]),
    ({"prompt": "a chair", "image": base64_of(b"not a picture")}, ["/image"]),
    ({"prompt": "a chair", "image": "AAAAA"}, ["/image"]),
    ({"prompt": "a chair", "views": [{"azimuth": 1}]}, ["/views/0/image"]),
    ({"prompt": "a chair", "views": [{"azimuth": 0, "image": base64_of(PNG)}] * 7}, ["/views"]),
    ({"prompt": "a chair", "mesh": base64_of(GLB)}, ["/mesh"]),
    ({"prompt": "a chair", "type": "refine"}, ["/mesh"]),
    ({"prompt": "a chair", "type": "refine", "mesh": base64_of(GLB + b"more")}, ["/mesh"]),
    ({"prompt": "a chair", "type": "refine", "mesh": base64_of(GLB), "image": PNG}, ["/image"]),
    ({"type": "texture"}, ["/mesh", "/prompt"]),
    ({"prompt": "rusty iron", "type": "texture", "mesh": base64_of(GLB), "faces": 50, "for": "unity"}, ["/faces", "/for"]),
    ({"prompt": "a chair", "__class__": 1}, ["/__class__"]),
    ({"type": "finish"}, ["/mesh"]),
    ({"type": "finish", "mesh": base64_of(GLB), "prompt": "a chair", "seed": 1}, ["/prompt", "/seed"]),
    ({"prompt": "a chair", "name": "../chair"}, ["/name"]),
    ({"prompt": "a chair", "name": "chair\n"}, ["/name"]),
    ({"prompt": "a chair", "for": "doom"}, ["/for"]),
    ({"prompt": "a chair", "for": "unity", "format": "obj"}, ["/format"]),
    ({"prompt": "x" * 5000}, ["/prompt"]),
])
def test_every_wrong_field_is_named(fields, expected):
    assert pointers(fields) == expected


def test_a_number_that_is_whole_is_an_integer_however_it_is_written():
    assert submission(json.loads('{"prompt": "a chair", "seed": 3.0, "guidance": 2}'), ["props"]).request["seed"] == 3
    assert pointers({"prompt": "a chair", "seed": 3.5}) == ["/seed"]


@pytest.mark.parametrize("body, status", [
    (b"", 400), (b"{", 400), (b"[]", 400), (b'"text"', 400), (b"\xff\xfe", 400), (b'{"seed": NaN}', 400), (b'{"seed": 1e999}', None),
    (b"[" * 9000, 400), (b'{"a":' * 1500, 400), (b"[" * (MAX_STRUCTURE + 1), 413), (b'{"a": [' + b"0," * MAX_STRUCTURE + b"0]}", 413),
    (b'{"seed": ' + b"9" * 5000 + b"}", 400), (b'{"prompt": "' + b"[" * 50_000 + b'"}', None),
])
def test_bodies_that_are_no_json_object_or_too_deep_or_too_large_are_refused_at_once(body, status):
    if status is None:
        assert isinstance(parsed(body), dict)
    else:
        with pytest.raises(Problem) as caught:
            parsed(body)
        assert caught.value.status == status


def test_infinity_is_within_no_range():
    assert pointers({"prompt": "a chair", "guidance": float("inf")}) == ["/guidance"]
    assert pointers({"prompt": "a chair", "seed": float("inf")}) == ["/seed"]


def test_every_option_of_a_request_can_be_sent():
    """All of the library's options but a saved run, which is a folder of the server's machine."""
    from meshwright.runtime.request_options import RequestOptions

    assert set(RequestOptions.__annotations__) - {"run"} <= set(OPTIONS)
