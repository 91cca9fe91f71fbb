"""Memory of the machine and limits of its containers, as both versions of Linux' control groups write them; and the high-water mark of a
process, which sees what is given back, and starts anew."""

import mmap
import sys
from types import SimpleNamespace

import pytest

from meshwright.engines.machine import memory as machine_memory
from meshwright.engines.machine.memory import available_bytes, limits, peak_bytes, reset_peak, total_bytes

GIB = 1 << 30
MEGABYTES_64 = 64 << 20
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux'")


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Writes the files of control groups: the process' own path, then (folder, limit file, limit, used) for each."""

    def write(own, *entries):
        (tmp_path / "cgroup").write_text(own)
        for folder, name, limit, used in entries:
            (tmp_path / "fs" / folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / "fs" / folder / name).write_text(f"{limit}\n")
            (tmp_path / "fs" / folder / "memory.stat").write_text(f"{used}\n")
        monkeypatch.setattr(machine_memory, "OWN_GROUP", tmp_path / "cgroup")
        monkeypatch.setattr(machine_memory, "GROUPS", tmp_path / "fs")

    return write


@LINUX
def test_without_a_limit(groups):
    groups("0::/user/app\n", ("user/app", "memory.max", "max", "anon 5"))
    assert list(limits()) == []
    meminfo = machine_memory.MEMINFO.read_text()
    assert f"MemTotal: {total_bytes() // 1024}" in " ".join(meminfo.split())
    assert 0 < available_bytes() < total_bytes()


@LINUX
def test_the_tightest_group_around_the_process_counts(groups):
    groups("0::/user/app\n", ("user/app", "memory.max", 2 * GIB, f"anon {GIB // 2}"), ("user", "memory.max", GIB, f"anon {GIB // 4}"))
    assert sorted(limits()) == [(GIB, GIB // 4), (2 * GIB, GIB // 2)]
    assert total_bytes() == GIB and available_bytes() <= GIB - GIB // 4


@LINUX
def test_a_full_group_has_nothing_left(groups):
    groups("0::/\n", (".", "memory.max", GIB, f"anon {2 * GIB}"))
    assert available_bytes() == 0


@LINUX
def test_the_first_version(groups):
    groups("4:memory:/job\n2:cpuacct:/\n", ("memory/job", "memory.limit_in_bytes", GIB, f"cache 9\ntotal_rss {GIB // 8}"))
    assert list(limits()) == [(GIB, GIB // 8)] and total_bytes() == GIB


@LINUX
def test_files_that_are_not_as_expected(groups):
    groups("0::/a\n", ("a", "memory.max", "many", "anon 5"), (".", "memory.max", GIB, "file 3"))
    assert list(limits()) == []


@LINUX
def test_windows_is_asked_by_its_own_call(groups, monkeypatch):
    """GlobalMemoryStatusEx fills a structure of 64 bytes, whose length it is told first."""

    def fill(reference):
        status = reference._obj
        assert status.length == 64
        status.total, status.available = 16 * GIB, 5 * GIB
        return 1

    groups("")
    monkeypatch.setattr(machine_memory.sys, "platform", "win32")
    kernel = SimpleNamespace(GlobalMemoryStatusEx=fill)
    monkeypatch.setattr(machine_memory.ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    assert (total_bytes(), available_bytes()) == (16 * GIB, 5 * GIB)
    machine_memory.ctypes.windll.kernel32.GlobalMemoryStatusEx = lambda reference: 0
    assert (total_bytes(), available_bytes()) == (None, None)


@LINUX
def test_macos_says_what_is_installed_and_not_what_is_free(groups, monkeypatch):
    groups("")
    installed = total_bytes()
    monkeypatch.setattr(machine_memory.sys, "platform", "darwin")
    assert (total_bytes(), available_bytes()) == (installed, None)


def take_and_give_back():
    """Straight from the system: an array may land in memory that the process had freed but kept."""
    with mmap.mmap(-1, MEGABYTES_64) as memory:
        memory.write(bytes(MEGABYTES_64))


def test_a_peak_is_seen_after_the_memory_is_gone():
    reset_peak()
    before = peak_bytes()
    take_and_give_back()
    assert before > 10 << 20
    assert peak_bytes() >= before + MEGABYTES_64 // 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep one mark for the whole process")
def test_the_mark_starts_anew():
    take_and_give_back()
    high = peak_bytes()
    reset_peak()
    assert peak_bytes() < high - MEGABYTES_64 // 2


@pytest.mark.skipif(sys.platform != "linux", reason="Linux stands for the others here")
def test_other_systems_tell_since_the_process_began_or_not_at_all(monkeypatch, tmp_path):
    """ru_maxrss is in kilobytes, but on macOS in bytes; Windows has no such module."""
    import resource

    monkeypatch.setattr(machine_memory, "STATUS", tmp_path / "status")
    monkeypatch.setattr(machine_memory, "REFERENCES", tmp_path / "no" / "references")
    monkeypatch.setattr(resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=3000))
    reset_peak()
    assert peak_bytes() == 3_072_000
    monkeypatch.setattr(machine_memory.sys, "platform", "darwin")
    assert peak_bytes() == 3000
    monkeypatch.setitem(sys.modules, "resource", None)
    assert peak_bytes() is None
