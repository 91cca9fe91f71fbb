"""Hashes that are remembered: what was not changed is not read again, whatever was changed is."""

import hashlib
import json
import os
import time

import pytest

from meshwright.engines.files import hashes as file_hashes
from meshwright.engines.files.hashes import FileHashes


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Where hashes are remembered; a file settles at once."""
    monkeypatch.setenv("MESHWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(file_hashes, "SETTLED_SECONDS", 0.0)
    return tmp_path / "cache" / "file_hashes.json"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def remembered(path, **options):
    hashes = FileHashes(**options)
    digest = hashes.of(path)
    hashes.keep()
    return digest


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    time.sleep(0.02)  # longer than the step of the file system's clock
    return path


def test_a_file_is_read_once(cache, file):
    assert remembered(file) == sha256(b"one")
    lie = {key: {**value, "sha256": "0" * 64} for key, value in json.loads(cache.read_text()).items()}
    cache.write_text(json.dumps(lie))
    assert remembered(file) == "0" * 64  # so it was not read
    assert remembered(file, fresh=True) == sha256(b"one") == remembered(file)


def test_a_change_that_keeps_size_and_time_is_seen(cache, file):
    before = os.stat(file)
    remembered(file)
    file.write_bytes(b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(file).st_mtime_ns == before.st_mtime_ns and remembered(file) == sha256(b"two")


def test_another_file_in_its_place_is_seen(cache, file, tmp_path):
    remembered(file)
    other = tmp_path / "other"
    other.write_bytes(b"two")
    os.replace(other, file)
    assert remembered(file) == sha256(b"two")


def test_what_changed_just_now_is_not_remembered(cache, file, monkeypatch):
    monkeypatch.setattr(file_hashes, "SETTLED_SECONDS", 3.0)
    assert remembered(file) == sha256(b"one") and not cache.exists()


def test_times_ahead_of_the_clock_are_not_remembered(cache, file):
    """Its clock was set back since, or it came from elsewhere: it may change again with the same times."""
    os.utime(file, (time.time() + 3600,) * 2)
    assert remembered(file) == sha256(b"one") and not cache.exists()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"%s": []}', '{"%s": {"state": 1, "sha256": 2}}'])
def test_a_damaged_memory_is_none(cache, file, content):
    cache.parent.mkdir()
    cache.write_text(content.replace("%s", str(file)))
    assert remembered(file) == sha256(b"one")


def test_a_memory_that_others_can_write_is_none(cache, file):
    remembered(file)
    cache.write_text(cache.read_text().replace(sha256(b"one"), "0" * 64))
    cache.chmod(0o666)
    assert remembered(file) == sha256(b"one")


def test_the_oldest_are_forgotten(cache, file, monkeypatch):
    monkeypatch.setattr(file_hashes, "MAX_FILES", 2)
    for digest in "abc":
        hashes = FileHashes()
        hashes.note_passed(digest)
        hashes.keep()
    assert not FileHashes().has_passed("a") and FileHashes().has_passed("b") and FileHashes().has_passed("c")


def test_a_cache_that_cannot_be_written_stops_nothing(file, monkeypatch):
    monkeypatch.setenv("MESHWRIGHT_CACHE", "/proc/nowhere")
    assert remembered(file) == sha256(b"one")
