"""The high-water mark of memory: it sees what is given back, and starts anew."""

import mmap
import sys
from types import SimpleNamespace

import pytest

from meshwright.engines.machine import memory
from meshwright.engines.machine.memory import peak_bytes, reset_peak

MEGABYTES_64 = 64 << 20


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

    monkeypatch.setattr(memory, "STATUS", tmp_path / "status")
    monkeypatch.setattr(memory, "REFERENCES", tmp_path / "no" / "references")
    monkeypatch.setattr(resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=3000))
    reset_peak()
    assert peak_bytes() == 3_072_000
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert peak_bytes() == 3000
    monkeypatch.setitem(sys.modules, "resource", None)
    assert peak_bytes() is None
