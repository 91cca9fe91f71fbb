"""What is said of a build, and the estimate of what is left."""

import io

import pytest

from meshwright.runtime.cli.build_progress import BuildProgress
from meshwright.runtime.cli.progress import ERASE


class Terminal(io.StringIO):
    def isatty(self):
        return True


def said(stream, quiet=False):
    say = BuildProgress(stream, ["a", "bcd"], quiet=quiet)
    say.component("a")
    say.note("it is stale")
    say.start(41.0)
    say.progress(0.5)
    say.done("1.0 s")
    say.clear()
    return stream.getvalue()


def test_on_a_terminal_the_line_changes():
    lines = said(Terminal()).split(ERASE)
    assert lines == ["", "note: it is stale\n", "[1/2] a    building, about 41 s", "[1/2] a     50 %, about 41 s left",
                     "[1/2] a    1.0 s\n", ""]


def test_elsewhere_there_is_one_line_a_component():
    assert said(io.StringIO()) == "note: it is stale\n[1/2] a    1.0 s\n"
    assert said(io.StringIO(), quiet=True) == said(Terminal(), quiet=True) == ""


@pytest.mark.parametrize(("estimate", "share", "past", "left"), [
    (None, 0.1, 5, None), (None, 0.25, 5, 15.0), (30.0, 0.0, 10, 20.0), (30.0, 0.5, 40, 40.0), (30.0, 0.1, 40, None)])
def test_seconds_left(estimate, share, past, left):
    say = BuildProgress(io.StringIO(), ["a"])
    say.component("a")
    say.start(estimate)
    assert say.seconds_left(share, past) == left
