"""What is no regular file is refused at once, and so is one that is too large."""

import os
import socket

import pytest

from meshwright.engines.errors import InputError
from meshwright.engines.files.regular_file import read_regular


def read(path, most=10):
    return read_regular(path, "the file", InputError, max_bytes=most)


def test_files_and_links_to_them(tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789")
    (tmp_path / "b").symlink_to("a")
    assert read(tmp_path / "a") == read(tmp_path / "b") == b"0123456789"
    with pytest.raises(InputError, match="the file is too large; received 10 bytes; expected at most 9 bytes"):
        read(tmp_path / "a", 9)


def test_what_says_that_it_is_empty_is_bounded_too():
    with pytest.raises(InputError, match="the file is too large; received more than 3 bytes"):
        read("/proc/self/maps", 3)


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
    for path, what in ((tmp_path / "fifo", "a FIFO"), ("/dev/zero", "a device"), (tmp_path, "a folder"), (tmp_path / "socket", "a socket")):
        with pytest.raises(InputError, match=f"the file cannot be read; received {what}; expected a regular file"):
            read(path)


@pytest.mark.parametrize("path", ["missing", "a\0b", "x" * 5000, "ring/x"])
def test_what_is_not_there(tmp_path, path):
    (tmp_path / "ring").symlink_to("ring")
    with pytest.raises(InputError, match="the file cannot be read; received"):
        read(f"{tmp_path}/{path}")
