"""The picture that the command line takes from standard input."""

import io

import pytest
from PIL import Image

from meshwright.engines.errors import InputError
from meshwright.runtime.cli.commands import with_standard_input
from meshwright.runtime.images.pictures import read_picture


def stdin(data):
    return io.TextIOWrapper(io.BytesIO(data))


@pytest.fixture
def png(tmp_path):
    """A picture file."""
    Image.new("RGB", (4, 6), "red").save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_what_asks_for_none_reads_none(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    options = {"image": "a.png", "matte": "auto", "views": [(90.0, "b.png")]}
    assert with_standard_input(options) is options
    assert with_standard_input({"prompt": "-"}) == {"prompt": "-"}


@pytest.mark.parametrize("name", ["image", "matte", "control"])
def test_one_picture(png, monkeypatch, name):
    monkeypatch.setattr("sys.stdin", stdin(png.read_bytes()))
    assert with_standard_input({"prompt": "-", name: "-"}) == {"prompt": "-", name: read_picture(png)}


def test_a_view(png, monkeypatch):
    monkeypatch.setattr("sys.stdin", stdin(png.read_bytes()))
    given = with_standard_input({"image": "a.png", "views": [(90.0, "-"), (180.0, "b.png")]})
    assert given == {"image": "a.png", "views": [(90.0, read_picture(png)), (180.0, "b.png")]}


@pytest.mark.parametrize(("stream", "message"), [
    (stdin(b"no picture"), "standard input is not a readable picture; received 10 bytes"),
    (stdin(b""), "standard input is not a readable picture; received 0 bytes"),
    (None, "the picture on standard input cannot be read; received it is closed")])
def test_what_is_no_picture(monkeypatch, stream, message):
    monkeypatch.setattr("sys.stdin", stream)
    with pytest.raises(InputError, match=message):
        with_standard_input({"image": "-"})


def test_it_holds_one_picture():
    with pytest.raises(InputError, match="standard input holds one picture; received - 2 times; expected - once"):
        with_standard_input({"image": "-", "views": [(90.0, "-")]})
