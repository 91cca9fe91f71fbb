"""Kills and full disks in the middle of writing, of clocks that jump, and what watches the cases."""

import os
import time

import pytest

from benchmarks.hard.endurance import Clocks
from benchmarks.hard.kill_cases import CommandKills, FullDisks, WriteKills
from benchmarks.hard.kinds import Kind, Lost, Mixed
from benchmarks.hard.page import page
from benchmarks.hard.worker import Tally, one, own_environment, run

pytestmark = pytest.mark.slow


@pytest.fixture
def work(tmp_path, monkeypatch):
    for name, value in own_environment(tmp_path / "user").items():
        monkeypatch.setenv(name, value)
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def outcomes(cases, count):
    ended = [one(cases, number, seed=0) for number in range(count)]
    cases.close()
    assert [problem for *_, problem in ended if problem] == []
    return {outcome for outcome, *_ in ended}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_full_disks(work):
    assert outcomes(FullDisks(work), 12) == {"refused"}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_kills_at_renames_leave_one_set_once_the_next_run_begins(work):
    cases = WriteKills(work)
    ended = [one(cases, number, seed=0) for number in range(0, 2 * cases.renames + 3, 3)]
    assert [problem for *_, problem in ended if problem] == []
    assert "killed between two renames, and mended" in {outcome for outcome, *_ in ended}


def test_clocks_that_jump(work):
    assert outcomes(Clocks(work), 4) == {"the same mesh"}


def test_the_command_is_killed(work):
    assert "killed" in outcomes(CommandKills(work), 2)


class Bad(Kind):
    """Every way in which a case can go wrong."""

    name, goal, limit, said = "bad", 8, 1.0, "cases that go wrong"

    def __init__(self, folder):
        folder.joinpath("there").touch()

    def case(self, number, rng):
        if number == 1:
            raise RecursionError("foreign")
        if number == 2:
            os.abort()
        if number == 3:
            time.sleep(30)
        if number in (4, 5):
            raise (Lost if number == 4 else Mixed)("gone")
        return "well"


def test_what_goes_wrong_is_told_and_ends_nothing(tmp_path):
    tally = Tally()
    assert run(Bad, tally, seed=0, first=0, count=8, until=time.monotonic() + 100) == 8
    assert (tally.cases, tally.foreign, tally.crashes, tally.hangs, tally.lost, tally.outcomes) == (8, 1, 1, 1, 2, {"well": 3})
    assert [number for number, _ in tally.failures] == [1, 2, 3, 4, 5] and "RecursionError: foreign (test_kills.py:" in tally.failures[0][1]
    text = page({"kinds": {"bad": tally.plain()}, "seed": 0, "minutes": 1.0, "commit": "abc"}, {"bad": Bad.said})
    assert "| cases that go wrong | 8 | 1 | 1 | 1 | 2 | 1.00 s |" in text and "- bad: 3 well" in text
    assert run(Bad, tally, seed=0, first=0, count=8, until=time.monotonic() - 1) == 0 and tally.cases == 8
