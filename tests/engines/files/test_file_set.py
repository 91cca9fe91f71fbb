"""Several files are one result: with kills at every change of the disk, failures at every rename, and two writers at once."""

import errno
import json
import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from meshwright.engines.errors import OutputError
from meshwright.engines.files.file_set import check_writable, recover, staged, write_files
from tests.killed import killed_at_each_change
from tests.without_rights import NOBODY, without_rights

NAMES = ("a.obj", "a.mtl", "a.png")
# What the killed processes do: replace three files and one in another folder that is new at first, and take one away.
SETUP = """
from pathlib import Path
from meshwright.engines.files.file_set import write_files

def write(text, *removed):
    write_files({Path(name): text.encode() for name in ("a.obj", "a.mtl", "kept/view.png", "a.png")}, list(map(Path, removed)))
"""


@pytest.fixture(autouse=True)
def without_waiting_for_the_disk(monkeypatch):
    """That is of use in a power cut alone."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def contents(folder):
    """The text of every file below a folder, by its path."""
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def write(folder, text, removed=()):
    write_files({folder / name: text.encode() for name in NAMES}, [folder / name for name in removed])


@contextmanager
def failing(monkeypatch, name, call, error):
    """Within, call number `call` (from 1) of a function of `os` fails, and all after it; the names of the targets are noted."""
    real, calls = getattr(os, name), []

    def change(*arguments, **options):
        calls.append(Path(arguments[-1]).name)
        if len(calls) >= call:
            raise error
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, name, change)
        yield calls


def test_killed_at_each_change_it_is_the_old_set_or_the_new_one(tmp_path):
    """The last write of the test is the next run that writes there; it is not about any of these files."""
    folders = killed_at_each_change(tmp_path, SETUP + "write('old'); Path('gone.png').write_text('old')", "write('new', 'gone.png')")
    old = dict.fromkeys(("a.mtl", "a.obj", "a.png", "gone.png", "kept/view.png"), "old")
    new = dict.fromkeys(("a.mtl", "a.obj", "a.png", "kept/view.png"), "new")
    found = []
    for folder in folders:
        for name, text in contents(folder).items():
            assert ".part/" in name or text in ("old", "new"), "a file that is half of each"
        write_files({folder / "other.glb": b"other"})
        assert contents(folder).pop("other.glb") == "other"
        (folder / "other.glb").unlink()
        found.append(contents(folder))
    assert found == sorted(found, key=lambda each: each == new) and found[0] == old and found[-1] == new
    assert len(found) > 15 and all(each in (old, new) for each in found)


def test_killed_at_each_change_nothing_is_left_of_a_first_write(tmp_path):
    for folder in killed_at_each_change(tmp_path, SETUP, "write('new')"):
        write_files({folder / "other.glb": b"other"})
        (folder / "other.glb").unlink()
        assert contents(folder) in ({}, dict.fromkeys(("a.mtl", "a.obj", "a.png", "kept/view.png"), "new"))
        assert not [path for path in folder.rglob("*") if path.name.endswith(".part")]


def test_a_folder_that_was_moved_after_a_kill_is_mended_too(tmp_path):
    (tmp_path / "runs").mkdir()
    found = set()
    for folder in killed_at_each_change(tmp_path / "runs", SETUP + "write('old')", "write('new')"):
        moved = folder.rename(tmp_path / f"moved-{folder.name}")
        recover(moved)
        recover(moved / "kept")
        after = contents(moved)
        assert len(after) == 4 and set(after.values()) in ({"old"}, {"new"})
        found |= set(after.values())
    assert found == {"old", "new"}


def test_what_somebody_changed_after_a_kill_stays(tmp_path):
    """Their file is never replaced later by one that a dead process had ready."""
    for folder in killed_at_each_change(tmp_path, SETUP + "write('old')", "write('new')"):
        (folder / "a.obj").write_text("their own, later")
        (folder / "a.mtl").unlink()
        (folder / "a.mtl").write_text("their own, too")
        check_writable([folder / "a.obj"])
        after = contents(folder)
        assert after["a.obj"] == "their own, later" and after["a.mtl"] == "their own, too"
        assert not [name for name in after if ".part" in name]


@pytest.mark.parametrize("call", range(1, 7))
@pytest.mark.parametrize("error", [OSError(errno.EACCES, "Permission denied"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_a_rename_that_fails_is_as_if_nothing_had_been_tried(tmp_path, monkeypatch, call, error):
    """The first renames are of the record; then come three of the set. While it is undone, nothing fails."""
    write(tmp_path, "old")
    (tmp_path / "gone.png").write_text("old")
    before = contents(tmp_path)
    real = os.replace
    calls = []

    def change(source, target):
        calls.append(target)
        if len(calls) == call:
            raise error
        real(source, target)

    monkeypatch.setattr(os, "replace", change)
    with pytest.raises(OutputError if isinstance(error, OSError) else KeyboardInterrupt):
        write(tmp_path, "new", ["gone.png"])
    assert contents(tmp_path) == before


def test_an_undoing_that_fails_is_done_later_and_does_not_hide_the_first_error(tmp_path, monkeypatch):
    write(tmp_path, "old")
    with failing(monkeypatch, "replace", 5, OSError(errno.EIO, "the first error, and all that follow")) as calls, \
            pytest.raises(OutputError, match="a.obj; received the first error"):
        write(tmp_path, "new")
    assert calls[:4] == ["set.json", "set.json", "a.png", "a.mtl"] and calls[4] == "a.obj"
    assert {contents(tmp_path)[name] for name in NAMES} == {"old", "new"}  # the mix that the docs name
    recover(tmp_path)
    assert contents(tmp_path) == dict.fromkeys(NAMES, "new")  # the mark says so: it could not be changed


def test_the_first_error_is_told_whatever_fails_while_cleaning_up(tmp_path, monkeypatch):
    with failing(monkeypatch, "unlink", 1, OSError(errno.EIO, "unlink")), failing(monkeypatch, "rmdir", 1, OSError(errno.EIO, "rmdir")), \
            pytest.raises(ValueError, match="the first one"), staged([tmp_path / "deep" / "a.obj"]) as (place,):
        place.write_bytes(b"half")
        raise ValueError("the first one")
    assert [path.name for path in (tmp_path / "deep").iterdir()] != []
    recover(tmp_path / "deep")
    assert not (tmp_path / "deep").exists()


def test_a_full_disk(tmp_path):
    write(tmp_path, "old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))  # the system refuses the 3001st byte
    try:
        with pytest.raises(OutputError, match="a.obj; received File too large; .*free some space or choose another disk"):
            write_files({tmp_path / "a.obj": b"new", tmp_path / "a.mtl": b"new", tmp_path / "new" / "a.png": bytes(3001)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(tmp_path) == dict.fromkeys(NAMES, "old") and not (tmp_path / "new").exists()


def test_a_folder_in_the_way_is_never_moved(tmp_path):
    (tmp_path / "a.png").mkdir()
    (tmp_path / "a.png" / "precious.txt").write_text("precious")
    with pytest.raises(OutputError, match="a.obj; received .*a.png is in the way"):
        write(tmp_path, "new")
    assert contents(tmp_path) == {"a.png/precious.txt": "precious"}


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path):
    (tmp_path / "real.png").write_text("real")
    (tmp_path / "a.png").symlink_to("real.png")
    write(tmp_path, "new")
    assert contents(tmp_path) == {**dict.fromkeys(NAMES, "new"), "real.png": "real"} and not (tmp_path / "a.png").is_symlink()


@pytest.mark.parametrize("call", range(1, 9))
def test_a_disk_without_hard_links(tmp_path, monkeypatch, call):
    """The old files step aside instead; a rename that fails brings them back."""
    write(tmp_path, "old")

    def refuse(*arguments, **options):
        raise PermissionError(errno.EPERM, "no links")

    monkeypatch.setattr(os, "link", refuse)
    real, calls = os.replace, []

    def change(source, target):
        calls.append(target)
        if len(calls) == call:
            raise OSError(errno.EIO, "a fault")
        real(source, target)

    monkeypatch.setattr(os, "replace", change)
    with pytest.raises(OutputError, match="a fault"):
        write(tmp_path, "new")
    assert contents(tmp_path) == dict.fromkeys(NAMES, "old")
    monkeypatch.setattr(os, "replace", real)
    write(tmp_path, "new")
    assert contents(tmp_path) == dict.fromkeys(NAMES, "new")


def test_a_living_writer_and_foreign_files_are_left_alone(tmp_path):
    (tmp_path / "download.part").write_text("foreign")
    (tmp_path / ".0123456789abcdef.part").write_text("foreign")
    stranger = tmp_path / ".meshwright-0123456789abcdef.part"
    stranger.mkdir()
    (stranger / "notes.txt").write_text("foreign")  # and no lock, so that it is none of ours
    if os.geteuid() == 0:
        other = tmp_path / ".meshwright-1123456789abcdef.part"
        other.mkdir()
        (other / "lock").write_text("")
        os.chown(other, NOBODY, NOBODY)
    before = sorted(path.name for path in tmp_path.iterdir())
    with staged([tmp_path / "a.obj", tmp_path / "a.mtl"]) as (obj, mtl):
        obj.write_text("first")
        recover(tmp_path)
        check_writable([tmp_path / "a.obj"])
        write(tmp_path, "second")
        mtl.write_text("first")
    assert contents(tmp_path)["a.obj"] == contents(tmp_path)["a.mtl"] == "first" and contents(tmp_path)["a.png"] == "second"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, *NAMES])


@pytest.mark.parametrize("moves", [
    [["mine.obj", 0, [1, 6, 7], [2, 4, 5]]], [["mine.obj", 0, None, [2, 4, 5]]], [["../out.obj", 0, [1, 6, 7], None]],
    [["..", 0, [1], None]], [["a\0b", 0, [1], None]], [["new.obj", "0", [1], None]], [[]], {"0": 1}, None], ids=str)
def test_a_record_that_came_with_other_files_changes_nothing(tmp_path, moves):
    """Somebody's archive holds a folder like ours; what it says is to be done is not of this disk."""
    (tmp_path / "mine.obj").write_text("mine")
    fake = tmp_path / ".meshwright-0123456789abcdef.part"
    fake.mkdir(mode=0o700)
    record = json.dumps({"folders": [fake.name], "made": ["../.."], "moves": moves})
    for name, text in (("lock", ""), ("forward", ""), ("0.new", "theirs"), ("set.json", record)):
        (fake / name).write_text(text)
    recover(tmp_path)
    assert contents(tmp_path) == {"mine.obj": "mine"} and not (tmp_path.parent / "out.obj").exists()


def test_two_writers_never_mix(tmp_path):
    code = SETUP + "import sys\nfor i in range(20): write(sys.argv[1])"
    writers = [subprocess.Popen([sys.executable, "-c", code, name], cwd=tmp_path) for name in ("one", "two")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    after = contents(tmp_path)
    assert len(after) == 4 and set(after.values()) in ({"one"}, {"two"})


def test_a_folder_that_takes_no_files_is_refused_before_the_work(tmp_path):
    with pytest.raises(OutputError, match="/proc/a.obj; received "):
        check_writable([Path("/proc/a.obj")])
    (tmp_path / "closed").mkdir(mode=0o555)
    with without_rights(tmp_path), pytest.raises(OutputError, match="a.obj; received Permission denied; .*check the folder"):
        check_writable([tmp_path / "a.obj", tmp_path / "closed" / "a.png", tmp_path / "new" / "a.png"])
    assert [path.name for path in tmp_path.iterdir()] == ["closed"]
