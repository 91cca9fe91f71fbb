"""Materials of OBJ files as programs write them: where the files are, names of every kind, options, colours; what is missing is told."""

import os

import numpy as np
import pytest
from PIL import Image

from meshwright.runtime.files.obj.materials import ObjMaterials
from meshwright.runtime.files.obj.mtl import Map, parsed_map
from meshwright.runtime.files.obj.reader import read_obj
from meshwright.runtime.files.scene.notices import Notices
from meshwright.runtime.geometry.shading import to_linear

# Each quarter another colour; sRGB.
QUARTERS = np.kron(np.array([[[220, 20, 20], [20, 180, 20]], [[20, 40, 220], [240, 220, 20]]], np.uint8), np.ones((4, 4, 1), np.uint8))
RED = to_linear(np.array([0.8, 0, 0], np.float32))
TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\n"
FACE = "f 1/1 2/2 3/3\n"
KD_RED = "newmtl m\nKd 0.8 0 0\n"


def read(folder, head="mtllib a.mtl\n", use="usemtl m\n", mtl=None, face=FACE):
    """The one part of a triangle with such materials, and the scene."""
    if mtl is not None:
        (folder / "a.mtl").write_bytes(mtl if isinstance(mtl, bytes) else mtl.encode())
    text = head + TRIANGLE + use + face
    scene = read_obj(text if isinstance(text, bytes) else text.encode(), folder)
    assert len(scene.parts) == 1
    return scene.parts[0], scene


def picture(path, pixels=QUARTERS):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize(("there", "line"), [
    ("a.mtl", "a.mtl"), ("a.mtl", "A.Mtl"), ("A.MTL", "a.mtl"), ("a.mtl", "a.mtl # colours"), ("a # b.mtl", "a # b.mtl"),
    ("my own.mtl", "my own.mtl"), ("my own.mtl", '"my own.mtl"'), ("mats/a.mtl", "mats/a.mtl"), ("mats/a.mtl", "mats\\a.mtl"),
    ("mats/a.mtl", ".\\Mats\\A.mtl"), ("a.mtl", "C:\\Users\\me\\a.mtl"), ("mats/a.mtl", "C:\\Users\\me\\mats\\a.mtl"),
    ("a.mtl", "/home/me/a.mtl"), ("a.mtl", "file:///home/me/A.mtl"), ("a.mtl", "\\\\server\\share\\a.mtl"), ("a.mtl", "../other/a.mtl"),
    ("st\u00fchle.mtl", "st\u00fchle.mtl"), ("stu\u0308hle.mtl", "st\u00fchle.mtl"), ("materials.txt", "materials.txt"),
])
def test_material_files_are_found(tmp_path, there, line):
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_text(KD_RED)
    part, scene = read(tmp_path, f"mtllib {line}\n")
    np.testing.assert_allclose(part.material.color, RED, atol=1e-6)
    assert scene.notices == () and [source.name for source in scene.sources] == [os.path.basename(there)]


@pytest.mark.parametrize(("line", "missing"), [
    ("b.mtl a.mtl", ["b.mtl"]), ("a.mtl b.mtl", ["b.mtl"]), ("my own.mtl b.mtl a.mtl", ["b.mtl"]), ("a.mtl a.mtl", []),
    ("A.mtl my own.mtl", []),
    ("no such.mtl a.mtl", ["no such.mtl"]), ("b c/a.mtl", []),
])
def test_several_material_files_in_one_line(tmp_path, line, missing):
    (tmp_path / "my own.mtl").write_text("newmtl other\nKd 0 1 0\n")
    part, scene = read(tmp_path, f"mtllib {line}\n", mtl=KD_RED)
    np.testing.assert_allclose(part.material.color, RED, atol=1e-6)
    assert scene.notices == tuple(f"material files are missing ({name!r})" for name in missing)


def test_several_lines_of_material_files(tmp_path):
    (tmp_path / "b.mtl").write_text("newmtl n\nKd 0 1 0\n")
    assert read(tmp_path, "mtllib a.mtl\nmtllib b.mtl\n", mtl=KD_RED)[1].notices == ()


@pytest.mark.parametrize("encode", [
    lambda text: text.encode("utf-8-sig"), lambda text: text.encode("utf-16"), lambda text: text.replace("\n", "\r\n").encode(),
    lambda text: text.replace("\n", "\r").encode(), lambda text: text.replace("Kd", "\tKd").encode(),
    lambda text: text.replace("Kd", "kd").encode(),
    lambda text: text.replace("newmtl", "  newmtl ").replace("\n", "  # comment\n").encode(),
], ids=["utf-8 mark", "utf-16", "crlf", "cr", "tabs", "small letters", "comments"])
def test_material_files_in_every_writing(tmp_path, encode):
    part, scene = read(tmp_path, mtl=encode(KD_RED))
    np.testing.assert_allclose(part.material.color, RED, atol=1e-6)
    assert scene.notices == ()


def test_names_in_latin_1_stay_apart(tmp_path):
    mtl = "newmtl st\u00fchle\nKd 0.8 0 0\nnewmtl st\u00f6hle\nKd 0 1 0\n".encode("latin-1")
    (tmp_path / "st\u00fchle.mtl").write_bytes(mtl)
    text = ("mtllib st\u00fchle.mtl\n" + TRIANGLE + "usemtl st\u00f6hle\n" + FACE + "usemtl st\u00fchle\n" + FACE).encode("latin-1")
    scene = read_obj(text, tmp_path)
    assert scene.notices == ()
    np.testing.assert_allclose([part.material.color for part in scene.parts], [[0, 1, 0], RED], atol=1e-6)


def test_names_whose_bytes_are_latin_1_on_the_disk(tmp_path):
    try:
        with open(os.fsencode(tmp_path) + b"/st\xfchle.mtl", "w") as file:
            file.write(KD_RED)
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    assert read(tmp_path, "mtllib st\u00fchle.mtl\n")[1].notices == ()


@pytest.mark.parametrize(("defined", "used"), [
    ("m", "m # red"), ("m # red", "m"), ("m # red", "m # red"), ("Material #25", "Material #25"), ("two words", "two words"),
])
def test_comments_behind_names(tmp_path, defined, used):
    part, scene = read(tmp_path, use=f"usemtl {used}\n", mtl=f"newmtl {defined}\nKd 0.8 0 0\nnewmtl Material #26\nKd 0 1 0\n")
    np.testing.assert_allclose(part.material.color, RED, atol=1e-6)
    assert scene.notices == ()


@pytest.mark.parametrize(("head", "use", "notices"), [
    ("", "usemtl m\n", ("missing materials are white, since the file names no material file ('m')",)),
    ("mtllib nothing.mtl\n", "usemtl m\n", ("material files are missing ('nothing.mtl')",
                                            "missing materials are white, since no material file has them ('m')")),
    ("mtllib a.mtl\n", "usemtl M\n", ("missing materials are white, since no material file has them ('M')",)),
    ("mtllib ../a.mtl\n", "", ("material files are missing ('../a.mtl')",)), ("mtllib a.mtl\n", "", ()), ("", "", ()),
])
def test_what_is_missing_is_told(tmp_path, head, use, notices):
    (tmp_path / "in").mkdir()
    (tmp_path / "a.mtl").write_text(KD_RED)
    (tmp_path / "in" / "a.mtl" if "../" not in head else tmp_path / "b.mtl").write_text(KD_RED)
    part, scene = read(tmp_path / "in", head, use)
    assert scene.notices == notices and (part.material.color == 1).all()


@pytest.mark.parametrize(("mtl", "there", "name"), [
    ("a.mtl", "p.png", "p.png"), ("a.mtl", "P.PNG", "p.png"), ("a.mtl", "textures/p.png", "textures\\p.png"),
    ("a.mtl", "p.png", "C:\\me\\p.png"),
    ("a.mtl", "textures/p.png", "D:/work/chair/Textures/p.png"), ("a.mtl", "p.png", "/home/me/p.png"), ("a.mtl", "my p.png", "my p.png"),
    ("a.mtl", "my p.png", '"my p.png"'), ("a.mtl", "p.png", "p.png # wood"), ("a.mtl", "p # 1.png", "p # 1.png"),
    ("mats/a.mtl", "mats/p.png", "p.png"), ("mats/a.mtl", "p.png", "p.png"), ("mats/a.mtl", "p.png", "../p.png"),
    ("mats/a.mtl", "pics/p.png", "../pics/p.png"), ("mats/a.mtl", "pics/P.png", "..\\Pics\\p.png"), ("a.mtl", "p.tga", "p.tga"),
    ("a.mtl", "p.tif", "p.tif"), ("a.mtl", "p.bmp", "p.bmp"), ("a.mtl", "p.pcx", "p.pcx"), ("a.mtl", "p.png", "p.png -bm 1"),
])
def test_pictures_are_found(tmp_path, mtl, there, name):
    picture(tmp_path / there)
    (tmp_path / mtl).parent.mkdir(exist_ok=True)
    (tmp_path / mtl).write_text(f"newmtl m\nmap_Kd {name}\n")
    part, scene = read(tmp_path, f"mtllib {mtl}\n")
    assert scene.notices == ()
    np.testing.assert_array_equal(part.material.picture, QUARTERS)
    assert [source.name for source in scene.sources] == ["a.mtl", os.path.basename(there)]


def test_a_picture_beside_the_material_file_comes_first(tmp_path):
    picture(tmp_path / "mats" / "p.png")
    picture(tmp_path / "p.png", 255 - QUARTERS)
    (tmp_path / "mats" / "a.mtl").write_text("newmtl m\nmap_Kd p.png\n")
    np.testing.assert_array_equal(read(tmp_path, "mtllib mats/a.mtl\n")[0].material.picture, QUARTERS)


@pytest.mark.parametrize("name", ["../p.png", "..\\..\\p.png", "linked.png", "linked/p.png", "{outside}/p.png", "folder.png"])
def test_pictures_outside_of_the_folder_are_not_opened(tmp_path, name):
    picture(tmp_path / "p.png")
    inside = tmp_path / "in"
    (inside / "folder.png").mkdir(parents=True)
    os.symlink(tmp_path / "p.png", inside / "linked.png")
    os.symlink(tmp_path, inside / "linked")
    name = name.format(outside=tmp_path)
    part, scene = read(inside, mtl=f"newmtl m\nKd 0 0 0\nmap_Kd {name}\n")
    assert part.material.picture is None and (part.material.color == 1).all() and [each.name for each in scene.sources] == ["a.mtl"]
    assert scene.notices == (f"pictures are missing, or not in the mesh's folder ({name!r} of material 'm')",)


def test_pictures_that_cannot_be_read_are_told(tmp_path):
    (tmp_path / "p.exr").write_bytes(b"v/1\x01" + bytes(60))
    (tmp_path / "p.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    for name in ("p.exr", "p.eps"):
        part, scene = read(tmp_path, mtl=f"newmtl m\nKd 0.8 0 0\nmap_Kd {name}\n")
        assert len(scene.notices) == 1 and scene.notices[0].startswith(f"pictures cannot be read ({name!r}: ")
        np.testing.assert_allclose(part.material.color, RED, atol=1e-6)


@pytest.mark.parametrize(("pixels", "expected"), [
    (np.full((2, 3), 0x8123, np.uint16), 129), (np.full((2, 3), 0.5, np.float32), 128), (np.full((2, 3, 4), 77, np.uint8), 77),
    (np.full((2, 3), True), 255),
])
def test_pictures_of_every_depth(tmp_path, pixels, expected):
    picture(tmp_path / "p.tif", pixels)
    kept = read(tmp_path, mtl="newmtl m\nmap_Kd p.tif\n")[0].material.picture
    assert kept.shape == (2, 3, 3) and kept.dtype == np.uint8 and (kept == expected).all()


def test_small_files_of_huge_pictures_are_not_decoded(tmp_path):
    """A TGA header that asks for 60,000 by 60,000 pixels."""
    (tmp_path / "p.tga").write_bytes(bytes([0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x60, 0xea, 0x60, 0xea, 24, 0]) + bytes(100))
    assert read(tmp_path, mtl="newmtl m\nmap_Kd p.tga\n")[1].notices == ("pictures cannot be read ('p.tga': 60000 by 60000 pixels)",)


def test_large_pictures_are_kept_as_large_as_they_show(tmp_path):
    picture(tmp_path / "p.png", np.kron(QUARTERS, np.ones((256, 512, 1), np.uint8)))  # 2048 by 4096
    kept = read(tmp_path, mtl="newmtl m\nmap_Kd p.png\n")[0].material.picture
    assert kept.shape == (512, 1024, 3)
    np.testing.assert_array_equal(kept[[0, 0, -1, -1], [0, -1, 0, -1]], QUARTERS[[0, 0, -1, -1], [0, -1, 0, -1]])


@pytest.mark.parametrize(("kd", "expected"), [
    ("Kd 0 0 0", [1, 1, 1]), ("", [1, 1, 1]), ("Kd 1 1 1", [1, 1, 1]), ("Kd 0.5 0.5 0.5", [0.5] * 3), ("Kd 0.5", [0.5] * 3),
    ("Kd 0 0 0.5", [0, 0, 0.5]),
])
def test_a_colour_multiplies_its_picture_unless_it_is_black(tmp_path, kd, expected):
    picture(tmp_path / "p.png")
    part, scene = read(tmp_path, mtl=f"newmtl m\nmap_Kd p.png\n{kd}\n")
    np.testing.assert_allclose(part.material.color, to_linear(np.array(expected, np.float32)), atol=1e-6)
    assert scene.notices == ()


def test_black_without_a_picture_is_black(tmp_path):
    assert not read(tmp_path, mtl="newmtl m\nKd 0 0 0\n")[0].material.color.any()


@pytest.mark.parametrize(("text", "expected"), [
    ("p.png", Map("p.png")), ("my p.png", Map("my p.png")), ("-s 2 3 1 p.png", Map("p.png", (2, 3))), ("-s 2 p.png", Map("p.png", (2, 1))),
    ("-s .5 -2e0 p.png", Map("p.png", (0.5, -2))), ("-o 0.25 p.png", Map("p.png", offset=(0.25, 0))), ("-s 1 1 1 2.png", Map("2.png")),
    ("-s 2 2 2 2", Map("2", (2, 2))), ("-s 2 2 2", Map("2", (2, 2))), ("-o 1 2 3 -s 4 5 6 my p.png", Map("my p.png", (4, 5), (1, 2))),
    ("-clamp on p.png", Map("p.png", clamp=True)), ("-clamp off p.png", Map("p.png")),
    ("-blendu on -blendv off -bm 1 -boost 2 -texres 512 -type sphere -colorspace sRGB p.png", Map("p.png")),
    ("-mm 0 1 p.png", Map("p.png")), ("-mm 0.1 2 p.png", Map("p.png", ignored=("-mm 0.1 2",))), ("-t 0 0 0 p.png", Map("p.png")),
    ("-t 1 p.png", Map("p.png", ignored=("-t 1",))), ("-cc on p.png", Map("p.png", ignored=("-cc on",))),
    ("-imfchan r p.png", Map("p.png", ignored=("-imfchan r",))), ("p.png -s 2 2 2", Map("p.png", (2, 2))),
    ("my p.png -clamp on -o 1 1", Map("my p.png", offset=(1, 1), clamp=True)), ("-p.png", Map("-p.png")), ("-s p.png", Map("-s p.png")),
    ("", Map("")), ("-s 2 2 2 ", Map("2", (2, 2))),
])
def test_options_of_pictures(text, expected):
    assert parsed_map(text) == expected


def test_options_move_the_picture(tmp_path):
    """uv * s + o with v upwards: of the quarters, the one at the bottom right. Part's uvs count v downwards."""
    picture(tmp_path / "p.png")
    part, scene = read(tmp_path, mtl="newmtl m\nmap_Kd -s 0.5 0.5 1 -o 0.5 0 0 -clamp on p.png\n")
    np.testing.assert_allclose(part.uvs, [[0.5, 1], [1, 1], [0.5, 0.5]])
    assert part.material.wrap == ("clamp", "clamp") and scene.notices == ()
    assert read(tmp_path, mtl="newmtl m\nmap_Kd p.png\n")[0].material.wrap == ("repeat", "repeat")


@pytest.mark.parametrize(("lines", "notice"), [
    ("Kd 1 2", "unrecognised colours are treated as white ('1 2' of material 'm')"),
    ("Kd nan 0 0", "unrecognised colours are treated as white ('nan 0 0' of material 'm')"),
    ("Kd spectral a.rfl", "unrecognised colours are treated as white ('spectral a.rfl' of material 'm')"), ("Kd", None),
    ("Kd 0.1 0.2 0.3 # a", None),
    ("Kd 255 0 0", "colours outside of 0 to 1 are cut off ('255 0 0' of material 'm')"),
    ("d 0.5", "transparent materials are shown opaque ('m')"), ("Tr 0.5", "transparent materials are shown opaque ('m')"),
    ("map_d p.png", "transparent materials are shown opaque ('m')"), ("d -halo 0.25", "transparent materials are shown opaque ('m')"),
    ("d 1.0\nTr 0.0", None), ("d 1\nTr 1", None),
    ("Ka 0 0 0\nKs 1 1 1\nNs 10\nillum 2\nmap_Bump p.png\nKe 1 1 1\nmap_Ke p.png\nTf 1 1 1", None),
    ("map_Ka p.png", "pictures of ambient light (map_Ka) are left out (of material 'm')"), ("map_Ka p.png\nmap_Kd p.png", None),
    ("Kd 0 0 0\nKe 1 1 1", "light that black materials give (Ke) is left out ('m')"),
    ("map_Kd -mm 0 2 p.png", "options of pictures are not applied (-mm 0 2 of material 'm')"),
])
def test_what_is_not_read_and_shows_is_told(tmp_path, lines, notice):
    picture(tmp_path / "p.png")
    assert read(tmp_path, mtl=f"newmtl m\n{lines}\n")[1].notices == (() if notice is None else (notice,))


def test_materials_that_nothing_uses_are_not_told(tmp_path):
    assert read(tmp_path, mtl=KD_RED + "newmtl other\nmap_Kd nothing.png\nd 0.5\n")[1].notices == ()


def test_faces_without_coordinates_beside_faces_with(tmp_path):
    """Two parts of one material; only the first shows the picture."""
    picture(tmp_path / "p.png")
    (tmp_path / "a.mtl").write_text("newmtl m\nmap_Kd p.png\n")
    scene = read_obj(("mtllib a.mtl\n" + TRIANGLE + "usemtl m\n" + FACE + "f 1 2 3\nf 1/1 2 3\n").encode(), tmp_path)
    assert [(len(part.faces), part.uvs is None) for part in scene.parts] == [(2, True), (1, False)]
    assert scene.notices == ("faces without texture coordinates show nothing of their material's picture ('m')",)


def test_many_missing_materials_are_one_notice(tmp_path):
    notices = Notices()
    materials = ObjMaterials(tmp_path, [], notices)
    for i in range(20):
        materials.named(f"m{i}")
    assert notices.messages() == (
        "missing materials are white, since the file names no material file ('m0', 'm1', 'm2', and 17 more)",)


def test_lines_of_no_end_name_nothing_and_take_no_time(tmp_path):
    long = "x " * 500_000
    part, scene = read(tmp_path, f"mtllib {long}\nmtllib a.mtl\n", mtl=f"newmtl m\nmap_Kd a{long} -s 1\nKd {long}\n")
    assert part.material.picture is None and [notice[:38] for notice in scene.notices] == [
        "material files are missing ('x')", "unrecognised colours are treated as wh", "pictures are missing, or not in the me"]
    assert all(len(notice) < 400 for notice in scene.notices)


def test_fifos_are_not_waited_for(tmp_path):
    """Nobody writes into them: who opened one would wait for ever."""
    os.mkfifo(tmp_path / "a.mtl")
    part, scene = read(tmp_path)
    assert part.material.picture is None and any("material files are missing ('a.mtl')" in each for each in scene.notices)
    os.remove(tmp_path / "a.mtl")
    os.mkfifo(tmp_path / "p.png")
    part, scene = read(tmp_path, mtl="newmtl m\nmap_Kd p.png\n")
    assert part.material.picture is None and any("pictures are missing" in each for each in scene.notices)
