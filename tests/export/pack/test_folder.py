"""Where a pack may be written, and that nothing else there is touched."""

import json
import os

import pytest

from meshwright.engines.errors import ExportError
from meshwright.export.pack.folder import check_target, new_folder
from tests.killed import killed_at_each_change
from tests.without_rights import without_rights


def write(target, content="new"):
    with new_folder(target) as folder:
        (folder / "a.onnx").write_text(content)
        (folder / "pack.json").write_text(json.dumps({"files": {"a.onnx": {}}}))


def test_a_link_is_followed_and_stays(tmp_path):
    write(tmp_path / "disk" / "pack", "old")
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "pack")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "disk" / "pack" / "a.onnx").read_text() == "new"
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["pack"]


def test_a_link_to_nothing_yet(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "pack")
    write(tmp_path / "link")
    assert (tmp_path / "pack" / "a.onnx").read_text() == "new"


def test_the_folder_that_we_are_in(tmp_path, monkeypatch):
    write(tmp_path / "pack", "old")
    monkeypatch.chdir(tmp_path / "pack")
    write(type(tmp_path)("."))
    assert (tmp_path / "pack" / "a.onnx").read_text() == "new"


@pytest.mark.parametrize("name, document, message", [
    ("notes.txt", {"files": {"a.onnx": {}}}, "not all that it holds is of a pack; received notes.txt; expected what its pack.json names"),
    (".git", {"files": {"a.onnx": {}}}, "received .git; .*; move that away, or name another output folder"),
    ("a.onnx", {"packages": []}, "received a.onnx, pack.json"), ("a.onnx", [], "received a.onnx, pack.json")])
def test_files_that_are_not_the_packs_are_never_deleted(tmp_path, name, document, message):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "pack.json").write_text(json.dumps(document))
    (tmp_path / "p" / name).write_text("precious")
    with pytest.raises(ExportError, match=message):
        write(tmp_path / "p")
    assert (tmp_path / "p" / name).read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def test_a_pack_that_lacks_files_is_replaced(tmp_path):
    write(tmp_path / "p", "old")
    (tmp_path / "p" / "a.onnx").unlink()
    write(tmp_path / "p")
    assert (tmp_path / "p" / "a.onnx").read_text() == "new"


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ExportError, match="file is in the way"):
        check_target(tmp_path / "file")
    with pytest.raises(ExportError, match="file is not a folder; name another output folder"):
        check_target(tmp_path / "file" / "deep" / "pack")


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "ring/pack"])
def test_names_that_no_folder_can_have(tmp_path, name):
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    with pytest.raises(ExportError, match="no folder can be made at .*; name another output folder"):
        check_target(tmp_path / name)


def test_a_long_name_that_a_folder_can_have(tmp_path):
    write(tmp_path / ("x" * 255))
    assert (tmp_path / ("x" * 255) / "a.onnx").read_text() == "new"


@pytest.mark.skipif(os.name != "posix", reason="folders are not closed by their mode there")
def test_a_place_without_permission(tmp_path):
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0o555)
    with without_rights(tmp_path), pytest.raises(ExportError, match="nothing can be written in .*closed; name another output folder"):
        check_target(tmp_path / "closed" / "deep" / "pack")


def test_parents_that_a_failure_made_are_gone(tmp_path):
    with pytest.raises(KeyError), new_folder(tmp_path / "a" / "b" / "pack"):
        raise KeyError
    assert not list(tmp_path.iterdir())
    write(tmp_path / "a" / "b" / "pack")
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == ["pack"]


@pytest.mark.skipif(os.name != "posix", reason="folders are not closed by their mode there")
def test_an_old_pack_that_cannot_be_deleted_is_told(tmp_path):
    """A folder inside of it belongs to somebody else, or is closed to us."""
    closed = tmp_path / "pack" / "deep"
    closed.mkdir(parents=True)
    (closed / "a.onnx").write_text("old")
    (tmp_path / "pack" / "pack.json").write_text(json.dumps({"files": {"deep/a.onnx": {}}}))
    (tmp_path / "pack").chmod(0o777)
    closed.chmod(0o555)
    with without_rights(tmp_path), \
            pytest.raises(ExportError, match=r"new pack is at .*pack, but the old one could not be deleted; delete .*\.part"):
        write(tmp_path / "pack")
    assert (tmp_path / "pack" / "a.onnx").read_text() == "new"
    for folder in tmp_path.rglob("deep"):
        folder.chmod(0o755)


WRITE = """
import json
from pathlib import Path
from meshwright.export.pack.folder import new_folder

def write(content):
    with new_folder(Path("pack")) as folder:
        (folder / "a.onnx").write_text(content)
        (folder / "pack.json").write_text(json.dumps({"files": {"a.onnx": {}}}))
"""


def test_a_process_that_is_killed_leaves_the_old_pack_or_the_new_one(tmp_path):
    """At every rename; whoever exports next to it mends what is left."""
    folders = killed_at_each_change(tmp_path, WRITE + "write('old')", "write('new')")
    found = []
    for folder in folders:
        write(folder / "beside")
        assert sorted(os.listdir(folder)) == ["beside", "pack"] and sorted(os.listdir(folder / "pack")) == ["a.onnx", "pack.json"]
        found.append((folder / "pack" / "a.onnx").read_text())
    assert len(found) > 6 and found == sorted(found, reverse=True) and set(found) == {"old", "new"}
