"""Renames over files that somebody has open: at once on POSIX systems, tried again on Windows."""

import os

import pytest

from meshwright.engines.files import rename
from meshwright.engines.files.rename import WAITS, replace


@pytest.fixture
def busy(monkeypatch):
    """The rename is refused as often as the list says, as Windows does while a file is open. Gives the tries and the waits."""

    def start(system, refusals):
        real, tries, waits = os.replace, [], []

        def refuse(source, target):
            tries.append(target)
            if len(tries) <= refusals:
                raise PermissionError(13, "Access is denied")
            real(source, target)

        monkeypatch.setattr(rename.sys, "platform", system)
        monkeypatch.setattr(os, "replace", refuse)
        monkeypatch.setattr(rename.time, "sleep", waits.append)
        return tries, waits

    return start


@pytest.fixture
def files(tmp_path):
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("old")
    return tmp_path / "new", tmp_path / "old"


def test_windows_waits_until_nobody_has_it_open(busy, files):
    tries, waits = busy("win32", 3)
    replace(*files)
    assert files[1].read_text() == "new" and not files[0].exists()
    assert len(tries) == 4 and waits == list(WAITS[:3])


def test_windows_gives_up_after_a_while(busy, files):
    tries, waits = busy("win32", 100)
    with pytest.raises(PermissionError):
        replace(*files)
    assert len(tries) == len(WAITS) + 1 and 1 < sum(waits) < 2 and files[1].read_text() == "old"


@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_elsewhere_a_refusal_is_final(busy, files, system):
    tries, waits = busy(system, 1)
    with pytest.raises(PermissionError):
        replace(*files)
    assert (len(tries), waits) == (1, [])


def test_other_errors_are_not_waited_for(busy, files):
    tries, waits = busy("win32", 0)
    with pytest.raises(FileNotFoundError):
        replace(files[0].with_name("missing"), files[1])
    assert (len(tries), waits) == (1, [])
