"""OBJ files as programs write them: every encoding and line end, numbers of every kind, faces of every kind; broken ones."""

import codecs
from pathlib import Path

import numpy as np
import pytest

from meshwright.engines.errors import InputError
from meshwright.runtime.files.obj import lines as obj_lines
from meshwright.runtime.files.obj.reader import read_obj
from meshwright.runtime.files.obj.text import plain_text
from meshwright.runtime.files.reader import read_mesh
from meshwright.runtime.geometry.mesh import area_vectors
from meshwright.runtime.geometry.shading import to_linear

# A square of 2 in the plane z = 0 and a triangle of area 1 over it.
SQUARE = "v 0 0 0\nv 2 0 0\nv 2 2 0\nv 0 2 0\n"
UVS = "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
NORMALS = "vn 0 0 1\nvn 1 0 0\n"


def read(text):
    return read_obj(text.encode() if isinstance(text, str) else text, Path("nowhere"))


def area(scene):
    return sum(np.linalg.norm(area_vectors(part.vertices.astype(float), part.faces), axis=1).sum() / 2 for part in scene.parts)


def triangles(scene):
    return np.concatenate([part.vertices[part.faces] for part in scene.parts])


@pytest.mark.parametrize("encode", [
    lambda text: text.encode("utf-8-sig"), lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"), lambda text: text.encode("utf-16-le"),
    lambda text: text.encode("utf-16-be"), lambda text: text.encode("utf-32"),
    lambda text: text.replace("\n", "\r\n").encode(), lambda text: text.replace("\n", "\r").encode(),
    lambda text: text.replace("\n", "\n\n").encode(), lambda text: text.replace("v", "  v").replace("f", "\tf").encode(),
    lambda text: text.replace(" ", "  \t ").encode(), lambda text: text.replace("\n", " # a comment\n").encode(),
    lambda text: text.replace(" 2 ", " \\\n2 ").encode(), lambda text: text.replace(" 2 ", " \\\r\n  2 ").encode(),
    lambda text: text.rstrip().encode(), lambda text: text.replace("0", "0.000e+00").encode(),
    lambda text: text.replace("v 2", "v +2.").encode(),
], ids=["utf-8 mark", "utf-16-le mark", "utf-16-be mark", "utf-16-le", "utf-16-be", "utf-32", "crlf", "cr", "empty lines", "indents",
        "spaces", "comments", "continued", "continued crlf", "no last newline", "exponents", "signs"])
def test_the_same_square_in_every_writing(encode):
    scene = read(encode(SQUARE + "f 1 2 3 4\n"))
    np.testing.assert_array_equal(triangles(scene), [[[0, 0, 0], [2, 0, 0], [2, 2, 0]], [[0, 0, 0], [2, 2, 0], [0, 2, 0]]])
    assert scene.notices == () and scene.sources == ()


def test_lines_keep_their_numbers_where_some_go_on():
    with pytest.raises(ValueError, match="^line 6: 'x' is not a number"):
        read("# C:\\models\\\nv 0 0 \\\n 0\n\nv 1 1 1\nv 0 x 0\nf 1 2 3\n")


def test_a_comment_does_not_go_on():
    assert plain_text(b"# C:\\models\\\nv 1 2 3\n") == b"# C:\\models\\\nv 1 2 3\n"


def test_faces_before_their_vertices():
    assert area(read("f 1 2 3 4\n" + SQUARE)) == 4


def test_negative_numbers_count_back_from_where_they_stand():
    scene = read(SQUARE + UVS + "f -4/-4 -3/-3 -2/-2\n" + "v 9 9 9\nvt 5 5\nf -5/-5 -3/-3 -2/-2\n")
    np.testing.assert_array_equal(triangles(scene), [[[0, 0, 0], [2, 0, 0], [2, 2, 0]], [[0, 0, 0], [2, 2, 0], [0, 2, 0]]])
    np.testing.assert_array_equal(scene.parts[0].uvs, [[0, 1], [1, 1], [1, 0], [0, 1], [1, 0], [0, 0]])  # v downwards


@pytest.mark.parametrize("face", ["f 1/1/1 2/2/1 3/3/1", "f 1/1/1 2/2/1 3/3/1/9", "f +1/1/1 2/2/1 3/3/1", "f 001/1/1 2/2/1 3/3/1#end",
                                  "f 1/1/-2 2/2/-2 3/3/-2", "f 0000000001/1/1 2/2/1 3/3/1", "fo 1/1/1 2/2/1 3/3/1"])
def test_corners_of_every_kind_say_the_same(face):
    """Those that numpy takes at once, and those that are read one by one, also side by side in one file."""
    part = read(SQUARE + UVS + NORMALS + face + "\n").parts[0]
    np.testing.assert_array_equal(part.vertices, [[0, 0, 0], [2, 0, 0], [2, 2, 0]])
    np.testing.assert_array_equal(part.uvs, [[0, 1], [1, 1], [1, 0]])
    np.testing.assert_array_equal(part.normals, [[0, 0, 1]] * 3)
    mixed = read(SQUARE + UVS + NORMALS + "f 1 2 3\n" + face + "\nf 3//1 4//1 1//1\nf 1/1 2/2 3/3\n")
    np.testing.assert_array_equal(triangles(mixed)[:, 2], [[2, 2, 0], [0, 0, 0], [2, 2, 0], [2, 2, 0]])  # first those without uvs


def test_missing_normals_are_zeros_which_count_as_none():
    part = read(SQUARE + NORMALS + "f 1//1 2//1 3//1\nf 1 3//2 4//7\n").parts[0]
    np.testing.assert_array_equal(part.normals, [[0, 0, 1]] * 3 + [[0, 0, 0], [1, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize(("lines", "notice"), [
    ("f 1/1 2/2 3/3\n", "face corners refer to missing texture coordinates (3, the first in line 5)"),
    ("f 1//1 2//9 3\n", "face corners refer to missing normals (2, the first in line 5)"),
    ("vt 0 0\nf 1/0 2/1 3/1\n", "face corners refer to missing texture coordinates (line 6)"),
    ("vt 0 0\nf 1/-2 2/1 3/1\n", "face corners refer to missing texture coordinates (line 6)"),
    ("vt nan 0\nf 1/1 2/1 3/1\n", "face corners have texture coordinates that are not numbers (3, the first in line 6)"),
    ("vn -1.#IND 0 0\nf 1//1 2//1 3//1\n", "normals that are not numbers are replaced by face normals (line 5)"),
    ("vn -nan(ind) 0 0\nvn 0 0 1 # up\nvn inf 0 1.#QNAN\nf 1//2 2//2 3//2\n",
     "normals that are not numbers are replaced by face normals (2, the first in line 5)"),
    ("f 1 2 3\nf 1 2\nf 3\n", "faces of fewer than three corners are left out (2, the first in line 6)"),
    ("f 1 2 3\nl 1 2\nl 2 3\np 1\n", "lines and points are left out ('l' in line 6, 'p' in line 8)"),
    ("cstype bezier\nsurf 0 1 0 1 1 2\nf 1 2 3\n", "curves and surfaces without faces are left out ('cstype' in line 5, 'surf' in line 6)"),
    ("call other.obj\nf 1 2 3\n", "statements that refer to other files are ignored ('call' in line 5)"),
    ("f 1 2 3\nwhat is this\n", "unrecognised lines are ignored ('what' in line 6)"),
    ("v 0 0 1 0.5\nf 1 2 3\n", "vertex weights (w) are ignored (line 5)"),
    ("v 0 0 1 1.0\nf 1 2 3\n", None), ("vt 0.5\nf 1/1 2/1 3/1\n", None), ("vt 0.5 0.5 0\nf 1/1 2/1 3/1\n", None),
    ("o a\ng b c\ns 1\ns off\nmg 1 2\nlod 3\nf 1 2 3\n", None),
    ("f 1 3 2 4\n", "polygons that intersect themselves or have too many corners are triangulated approximately (line 5)"),
])
def test_what_could_not_be_honoured_is_told(lines, notice):
    scene = read(SQUARE + lines)
    assert scene.notices == (() if notice is None else (notice,)) and area(scene) > 1


def test_positions_that_float32_would_spoil_are_float64():
    far = read("v 4500000.125 0 0\nv 4500002 0 0\nv 4500002 2 0\nf 1 2 3\n").parts[0].vertices
    assert far.dtype == np.float64 and far[0, 0] == 4500000.125
    assert read("v 500 0 0\nv 502 0 0\nv 502 2 0\nv 9e9 0 0\nf 1 2 3\n").parts[0].vertices.dtype == np.float32


def test_concave_faces_and_holes():
    u = "".join(f"v {x} {y} 5\n" for x, y in [(0, 0), (3, 0), (3, 3), (2, 3), (2, 1), (1, 1), (1, 3), (0, 3)]) + "f 1 2 3 4 5 6 7 8\n"
    assert area(read(u)) == pytest.approx(7)
    ring = "".join(f"v 1 {x} {y}\n" for x, y in [(0, 0), (4, 0), (4, 4), (0, 4), (1, 1), (1, 3), (3, 3), (3, 1)])
    scene = read(ring + "f 1 2 3 4 1 5 6 7 8 5\n")
    assert area(scene) == pytest.approx(12) and scene.notices == ()
    assert area(read("v 0 0 0\nv 4 0 0\nv 1 1 0\nv 0 4 0\nf 1 2 3 4\nf 2 3 4 1\n")) == pytest.approx(8)  # a dart


@pytest.mark.parametrize(("colors", "expected"), [
    (["1 0 0", "0 0.5 0", "0 0 1"], [[1, 0, 0], [0, 0.5, 0], [0, 0, 1]]),
    (["255 0 0", "0 102 0", "0 0 51"], [[1, 0, 0], [0, 0.4, 0], [0, 0, 0.2]]),
    (["1.2 0 0", "0 0.5 0", "0 0 1"], [[1, 0, 0], [0, 0.5, 0], [0, 0, 1]]),  # brighter than white
    (["1 0 0 1", "0 0.5 0 0.5", "0 0 1 1"], [[1, 0, 0], [0, 0.5, 0], [0, 0, 1]]),  # alpha
    (["1 0 0", "", "0 0 1"], [[1, 0, 0], [1, 1, 1], [0, 0, 1]]),
])
def test_colours_behind_positions(colors, expected):
    places = ["0 0 0", "2 0 0", "0 2 0"]
    part = read("".join(f"v {place} {color}\n" for place, color in zip(places, colors, strict=True)) + "f 1 2 3\n").parts[0]
    np.testing.assert_allclose(part.colors, to_linear(np.array(expected, np.float32)), atol=1e-6)


def test_blocks_and_odd_lines_give_what_one_block_gives(monkeypatch):
    """Every block of a few lines, some of which have to be read one by one, with materials that change between."""
    random = np.random.default_rng(0)
    lines = [f"v {x:.3f} {y:.3f} {z:.3f}" for x, y, z in random.random((40, 3))]
    for i in range(60):
        a, b, c = random.choice(40, 3, replace=False) + 1
        lines.append([f"f {a} {b} {c}", f"f {a}/1 {b}/1 {c}/1", f"f {a - 41} {b - 41} {c - 41}", f"f +{a} {b} {c} # odd",
                      f"usemtl m{i % 4}"][i % 5])
        lines += ["vt 1 1"] if i == 30 else []
    text = "\n".join(lines)
    whole = read(text)
    monkeypatch.setattr(obj_lines, "BLOCK", 50)
    monkeypatch.setattr("meshwright.runtime.files.obj.reader.OFTEN", 0)
    seen = []
    parts = read_obj(text.encode(), Path("nowhere"), seen.append).parts
    assert len(parts) == len(whole.parts) > 4 and seen == sorted(seen) and len(seen) > 30 and seen[-1] == 1
    for one, other in zip(whole.parts, parts, strict=True):
        np.testing.assert_array_equal(one.vertices, other.vertices)


def test_progress_can_end_the_reading():
    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_obj((SQUARE + "f 1 2 3\n").encode(), None, stop)


@pytest.mark.parametrize(("text", "message"), [
    (SQUARE + "f 1 2 9\n", "line 5: a face refers to position 9 of 4"), (SQUARE + "f 1 2 0\n", "line 5: a face refers to position 0 of 4"),
    (SQUARE + "f 1 2 -5\n", "line 5: a face refers to position -5 of 4"), (SQUARE + "f 1 2 /3\n", "line 5: a corner without a position"),
    (SQUARE + "f 1 2 x\n", "line 5: 'x' is not a face corner"), (SQUARE + "f 1 2 3.0\n", "line 5: '3.0' is not a face corner"),
    (SQUARE + "f 1 2 99999999999999999999\n", "line 5: a face refers to position"),
    (SQUARE + "f 1 2 --3\n", "line 5: '--3' is not a face corner"),
    (SQUARE + "f 1 2-3 4\n", "line 5: '2-3' is not a face corner"), ("v 0 0,5 0\n", "line 1: '0,5' is not a number"),
    ("v 0 1_0 0\n", "line 1: '1_0' is not a number"), ("v 0 0 0\n\nv 1 1\n", "line 3: 2 numbers where 3 are needed"),
    ("v 0 0 0\np 1\n", "it has no faces; lines and points are left out .'p' in line 2."),
    ("v 0 0 0\nf 1 1\n", "it has no faces; faces of fewer than three corners"),
])
def test_lines_that_cannot_be_meant_are_refused_by_number(tmp_path, text, message):
    (tmp_path / "a.obj").write_text(text)
    with pytest.raises(InputError, match=message):
        read_mesh(tmp_path / "a.obj")


def test_files_of_no_end_are_refused(monkeypatch):
    monkeypatch.setattr(obj_lines, "MAX_LINE_BYTES", 1000)
    with pytest.raises(ValueError, match="line 5 is longer than"):
        monkeypatch.setattr(obj_lines, "BLOCK", 40)
        read(SQUARE + "f" + " 1 2 3" * 1000)
    monkeypatch.setattr(obj_lines, "MAX_ROWS", 3)
    with pytest.raises(InputError, match="too many vertices"):
        read(SQUARE)


PIECES = ["v 0 0 0", "v 1 0 0", "v 0 1 0", "v 1 1 1", "v 1e400 0 0", "v nan 0 1", "v 1 2", "vt 0 0", "vt", "vt 1 1.#INF", "vn 0 0 1",
          "vn 0 0", "f 1 2 3", "f 1 2 3 4", "f 1/1 2/1 3/2", "f -1 -2 -3", "f 4 3 2 1 2", "f 1//1 2//1 3//1", "f 1 1 1 1 1", "f",
          "f 1 2", "f / / /", "usemtl a", "usemtl b # c", "usemtl", "mtllib m.mtl", "mtllib", "mtllib ../m.mtl \"m.mtl\"", "g", "s 1",
          "l 1 2", "\\", "f 1 2 \\", "\ufeffv 0 0 0", "\x00", "# \\", "curv 1 2", "é è", "f 1 3 2 4", "v 0 0 0 1 0 0",
          "v 0 0 0 300 2 1 1", "f 99999999999 1 2"]
MATERIALS = ["newmtl a", "newmtl b", "newmtl", "Kd 0 0 0", "Kd 1", "Kd 1 2", "Kd nan 0 0", "Kd spectral x", "map_Kd p.png",
             "map_Kd -s 1", "map_Kd", "map_Kd -o 1 1 1 p.png", "map_Kd -clamp on -mm 0 2 m.mtl", "map_Kd ..", "map_Kd .", "d x", "Tr 1",
             "Ke 1 1 1", "map_d p.png", "\x00", "\\", "map_Kd " + "-s 1 " * 300 + "p.png", "map_Kd " + " " * 500 + "-o" + " 1" * 500,
             "Kd 1e999 0 0"]


def test_files_put_together_at_random_are_read_or_refused(tmp_path):
    """Whole lines in any order, with materials and a picture that is there and broken. Warnings are errors here."""
    random, refused = np.random.default_rng(0), 0
    (tmp_path / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    for _ in range(400):
        lines = [PIECES[i] for i in random.integers(len(PIECES), size=random.integers(1, 30))]
        start = ["v 0 0 0", "v 1 0 0", "v 0 1 0", "v 1 1 0", "vt 0 0", "vn 0 0 1"] if random.random() < 0.8 else []
        end = ["\n", "\r\n", "\r"][random.integers(3)]
        data = end.join(start + lines).encode(["utf-8", "utf-16", "utf-8"][random.integers(3)])
        (tmp_path / "a.obj").write_bytes(data)
        (tmp_path / "m.mtl").write_text("\n".join(MATERIALS[i] for i in random.integers(len(MATERIALS), size=random.integers(1, 12))))
        try:
            read_mesh(tmp_path / "a.obj")
        except InputError:
            refused += 1
    assert 20 < refused < 390
