"""What is said on standard error while a large mesh is read and while engines are built, and the estimate of what is left."""

import io
from pathlib import Path

import pytest

from meshwright.engines.errors import Cancelled
from meshwright.runtime.cli import progress as module
from meshwright.runtime.cli.progress import ERASE, Progress
from meshwright.runtime.files.reader import read_mesh

CUBE_CORNERS = "".join(f"v {x} {y} {z}\n" for x in (0, 1) for y in (0, 1) for z in (0, 1))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def obj(tmp_path) -> Path:
    path = tmp_path / "cube.obj"
    path.write_text(CUBE_CORNERS + "f 1 2 4 3\nf 5 7 8 6\n")
    return path


def test_a_terminal_sees_how_much_is_read():
    stream = Terminal()
    show = Progress(stream).reading(Path("in/a\x1b.obj"))
    show(0.25)
    assert stream.getvalue() == ERASE + "reading a\\x1b.obj  25 %"


def test_elsewhere_a_line_tells_of_a_file_that_took_long(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(module, "MIN_SECONDS_SHOWN", -1.0)
    show = Progress(stream).reading(Path("a.obj"))
    show(0.5)
    show(1.0)
    assert stream.getvalue().splitlines() == ["reading a.obj    0.00 s"]


@pytest.mark.parametrize("quiet", [False, True])
def test_a_file_that_is_read_at_once_has_no_line(quiet):
    stream = io.StringIO()
    Progress(stream, quiet=quiet).reading(Path("a.obj"))(1.0)
    assert stream.getvalue() == ""


def test_a_mesh_is_whole_when_all_of_it_is_read(obj):
    told = []
    assert len(read_mesh(obj, told.append).mesh.faces) == 4
    assert told == sorted(told) and told[-1] == 1.0 and told.count(1.0) == 1


def test_reading_can_be_cancelled(obj):
    def cancel(done: float) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        read_mesh(obj, cancel)


def said_of_a_build(stream, quiet=False):
    say = Progress(stream, ["a", "bcd"], quiet=quiet)
    say.begin("a")
    say.note("it is stale")
    say.build_started(41.0)
    say.building(0.5)
    say.done("1.0 s")
    say.clear()
    return stream.getvalue()


def test_a_build_on_a_terminal_changes_its_line():
    lines = said_of_a_build(Terminal()).split(ERASE)
    assert lines == ["", "[1/2] a  ", "note: it is stale\n", "[1/2] a    building, about 41 s", "[1/2] a     50 %, about 41 s left",
                     "[1/2] a    1.0 s\n", ""]


def test_a_build_elsewhere_has_one_line_a_component():
    assert said_of_a_build(io.StringIO()) == "note: it is stale\n[1/2] a    1.0 s\n"
    assert said_of_a_build(io.StringIO(), quiet=True) == said_of_a_build(Terminal(), quiet=True) == ""


@pytest.mark.parametrize(("estimate", "share", "past", "left"), [
    (None, 0.1, 5, None), (None, 0.25, 5, 15.0), (30.0, 0.0, 10, 20.0), (30.0, 0.5, 40, 40.0), (30.0, 0.1, 40, None)])
def test_seconds_left_of_a_build(estimate, share, past, left):
    say = Progress(io.StringIO(), ["a"])
    say.begin("a")
    say.build_started(estimate)
    assert say.seconds_left(share, past) == left
