"""The fuzzer itself: the same files for the same seed, and every way to fail is told."""

import os
import time

from benchmarks import picture_fuzz
from meshwright.runtime.images.pictures import picture_of, read_picture


def crash(path):
    os._exit(3)


def hang(path):
    time.sleep(60)


def fail(path):
    raise ZeroDivisionError(path.name)


def test_the_same_files_for_the_same_seed():
    first, again, other = (picture_fuzz.files(60, seed) for seed in (3, 3, 4))
    assert first == again != other and len(first) == 60
    whole = picture_fuzz.seeds()
    assert {kind for kind, _ in first} == set(whole)
    assert sum(data == whole[kind] for kind, data in first) < 3


def test_a_run():
    report = picture_fuzz.run(60, 3)
    assert report["failures"] == [] and report["read"] + report["refused"] == 60 and min(report["read"], report["refused"]) > 5


def test_what_goes_wrong_is_told():
    assert picture_fuzz.run(3, 0, crash)["failures"] == [(0, "animated.gif", "the process ended with 3")]
    assert picture_fuzz.run(3, 0, hang, longest=1)["failures"] == [(0, "animated.gif", "a hang")]
    errors = picture_fuzz.run(2, 0, fail)["failures"]
    assert errors == [(0, "animated.gif", "ZeroDivisionError: 0.gif"), (1, "animated.png", "ZeroDivisionError: 1.png")]


def test_profiles_are_converted(tmp_path):
    """Each such seed is read in other colours than the same picture without its profile: its profile is looked at."""
    whole = {name: data for name, data in picture_fuzz.seeds().items() if "_profile" in name}
    assert len(whole) == 6
    for name, data in whole.items():
        (tmp_path / name).write_bytes(data)
        picture = read_picture(tmp_path / name)
        assert picture.notices == () and (picture.pixels != picture_of(data, name).pixels).any(), name
