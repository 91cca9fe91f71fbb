"""Packs are found, checked, and refused with the reason."""

import hashlib
import json
import os
import shutil

import pytest

from meshwright.engines import TensorSpec
from meshwright.runtime import Pack, PackCorrupt, PackError, PackFormat, PackNotFound
from meshwright.runtime.pack.pack import installed_packs
from tests.without_rights import without_rights


@pytest.fixture
def copy(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "copy")


def edit(folder, **changes):
    """Set entries of pack.json; a key with dots reaches into it."""
    document = json.loads((folder / "pack.json").read_text())
    for path, value in changes.items():
        *parents, last = path.split("__")
        entry = document
        for parent in parents:
            entry = entry[parent]
        entry[last] = value
    (folder / "pack.json").write_text(json.dumps(document))


def test_opens_a_pack(tiny):
    pack = Pack.open(tiny)
    assert pack.manifest.name == "tiny" and pack.manifest.license.commercial_use == "yes"
    assert pack.hash == hashlib.sha256((tiny / "pack.json").read_bytes()).hexdigest()
    assert pack.bytes == sum(path.stat().st_size for path in tiny.iterdir() if path.name != "pack.json")
    component = pack.component("shap_e_field")
    assert component.spec.output("sdf") == TensorSpec("sdf", "float32", (1, "points", 1))
    assert component.spec.input("points").shape == (1, "points", 3)
    assert pack.manifest.refiner.latent_shape == (1, 4, 12, 8)
    with pytest.raises(PackError, match="prior_text_encoder"):
        pack.component("prior_text_encoder")


def test_is_found_by_name_and_by_path(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tiny.parent)
    assert Pack.open("./tiny").manifest.name == "tiny"
    assert Pack.open("tiny").manifest.name == "tiny"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PackNotFound):
        Pack.open("tiny")
    for value in (tiny, tiny.parent, os.pathsep.join(["nowhere", str(tiny)])):
        monkeypatch.setenv("MESHWRIGHT_PACKS", str(value))
        assert Pack.open("tiny").folder == tiny
        assert tiny in installed_packs()


def test_folders_of_packs_that_are_closed_to_the_user_hold_none(tmp_path, monkeypatch):
    closed = tmp_path / "closed"
    (closed / "inner").mkdir(parents=True)
    closed.chmod(0)
    monkeypatch.setenv("MESHWRIGHT_PACKS", os.pathsep.join(map(str, [closed, closed / "inner"])))
    with without_rights(closed):
        assert [folder.name for folder in installed_packs()] == ["props"]
        with pytest.raises(PackNotFound):
            Pack.open("closed")
    closed.chmod(0o700)


@pytest.mark.parametrize("name", ["", "nothing-of-that-name", "/nowhere/at/all", "a\0b", "../tiny"])
def test_unknown_packs(name):
    with pytest.raises(PackNotFound):
        Pack.open(name)


def test_a_missing_file_is_named_with_its_hash(copy):
    digest = hashlib.sha256((copy / "vae_encoder.onnx").read_bytes()).hexdigest()
    (copy / "vae_encoder.onnx").unlink()
    with pytest.raises(PackCorrupt, match=f"vae_encoder.onnx is missing.*{digest}"):
        Pack.open(copy)


def test_a_truncated_file_is_named_with_its_hash(copy):
    path = copy / "golden.npz"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PackCorrupt, match=f"golden.npz.*size.*{digest}"):
        Pack.open(copy)


def test_an_altered_file_is_named_with_both_hashes(copy):
    path = copy / "tokenizer.json"
    before = path.read_bytes()
    path.write_bytes(before.replace(b"red", b"rod"))
    hashes = [hashlib.sha256(data).hexdigest() for data in (path.read_bytes(), before)]
    with pytest.raises(PackCorrupt, match=f"tokenizer.json.*{hashes[0]}.*{hashes[1]}"):
        Pack.open(copy)
    Pack.open(copy, verify=False)


def test_a_newer_format_is_refused(copy):
    edit(copy, format=2)
    with pytest.raises(PackFormat, match="format version.*received 2; expected 1; install a newer meshwright"):
        Pack.open(copy)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "C:\\x", "a\\b", ".", "a//b", "~:x"])
def test_paths_that_could_leave_the_folder_are_refused(copy, name):
    files = json.loads((copy / "pack.json").read_text())["files"]
    edit(copy, files=files | {name: {"sha256": "0" * 64, "bytes": 0}})
    with pytest.raises(PackFormat, match="outside the pack"):
        Pack.open(copy)


def test_links_out_of_the_folder_are_refused(copy, tmp_path):
    path = copy / "field_color.onnx"
    outside = tmp_path / "outside.onnx"
    shutil.move(path, outside)
    path.symlink_to(outside)
    with pytest.raises(PackFormat, match="link that leads out of the folder"):
        Pack.open(copy)


def test_a_linked_manifest_is_refused(copy, tmp_path):
    shutil.move(copy / "pack.json", tmp_path / "elsewhere.json")
    (copy / "pack.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(PackFormat, match="link that leads out of the folder"):
        Pack.open(copy)


def test_links_inside_the_folder_are_followed(copy):
    (copy / "field_color.onnx").rename(copy / "real.onnx")
    (copy / "field_color.onnx").symlink_to("real.onnx")
    Pack.open(copy)


@pytest.mark.parametrize("changes", [
    {"recipe": "unheard-of"}, {"license__commercial_use": "maybe"}, {"name": 3}, {"files": []},
    {"prior__steps": 0}, {"prior__steps": True}, {"prior__guidance": float("nan")}, {"prior__unconditional": "other"},
    {"coarse__rotation": [[1, 0, 0]]}, {"views__azimuths": [1, 2]}, {"texture_from": "air"}, {"text__length": 1},
    {"components__vae_encoder__file": "unlisted.onnx"}, {"components__vae_encoder__precision": "int4"},
    {"components__vae_encoder__inputs": [{"name": "image"}]}, {"files__golden.npz": {"sha256": "short", "bytes": 1}},
    {"text__tokenizer": "unlisted.json"}, {"components__vae_encoder__outputs": None}, {"grid": {}},
    {"grid__stride": 3}, {"grid__stride": 0},
], ids=lambda changes: "-".join(changes))
def test_malformed_entries_are_refused(copy, changes):
    edit(copy, **changes)
    with pytest.raises(PackFormat):
        Pack.open(copy)


def test_the_first_lattice_may_be_as_fine_as_the_grid(copy):
    assert Pack.open(copy).manifest.grid.stride == 4
    edit(copy, grid__stride=1)
    assert Pack.open(copy).manifest.grid.stride == 1


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format": "1"}', b"{}" + b" " * (5 << 20)])
def test_a_manifest_that_is_none(copy, data):
    (copy / "pack.json").write_bytes(data)
    with pytest.raises(PackFormat):
        Pack.open(copy)
