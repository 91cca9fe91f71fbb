"""A pack's `golden.npz` read with suspicion: what each array will take is known, and bounded, before a value is unpacked."""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ...engines.errors import PackFormat
from ...engines.files.regular_file import open_regular

FILE = "golden.npz"
LARGEST_FILE = 1 << 30
MAX_ARRAYS, MAX_BYTES = 4096, 512 << 20  # of all arrays that are unpacked at a time
MAX_RANK, ENDING = 16, ".npy"
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class GoldenArchive:
    """The arrays of one archive, each read when it is asked for. PackFormat for a file that is no such thing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._opened() as archive:
            found = archive.infolist()
            if len(found) > MAX_ARRAYS or len({each.filename for each in found}) < len(found):
                raise PackFormat(f"{FILE} holds too many arrays, or one of them twice", received=str(len(found)),
                                 expected=f"at most {MAX_ARRAYS}")
            self.names = tuple(each.filename.removesuffix(ENDING) for each in found if each.filename.endswith(ENDING))

    def read(self, names: Collection[str]) -> dict[str, np.ndarray]:
        """Those arrays, which the archive has."""
        with self._opened() as archive:
            total = sum(archive.getinfo(name + ENDING).file_size for name in names)
            if total > MAX_BYTES:
                raise PackFormat(f"{FILE} unpacks to too much", received=f"{total} bytes", expected=f"at most {MAX_BYTES}")
            return {name: _array(archive, name) for name in names}

    @contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        try:
            with open_regular(self._path, FILE, PackFormat, most=LARGEST_FILE) as stream, zipfile.ZipFile(stream) as archive:
                yield archive
        # What zipfile and NumPy raise for damaged archives is not one class: RuntimeError where one is encrypted, for instance.
        except (ValueError, OSError, EOFError, LookupError, RuntimeError, SyntaxError, TypeError, OverflowError, MemoryError,
                tokenize.TokenError, zipfile.BadZipFile, zlib.error, struct.error) as error:
            raise PackFormat(f"{FILE} cannot be read", received=str(error) or type(error).__name__) from error


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """One array, if its header says what its size in the archive says: neither alone is to be believed."""
    info = archive.getinfo(name + ENDING)
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in HEADERS:
            raise ValueError(f"{name} is of version {version}")
        shape, in_columns, dtype = HEADERS[version](stream)
        if dtype.kind not in "fiub" or len(shape) > MAX_RANK:
            raise ValueError(f"{name} holds {dtype} of rank {len(shape)}, where numbers are read")
        if any(length < 0 for length in shape) or stream.tell() + math.prod(shape) * dtype.itemsize != info.file_size:
            raise ValueError(f"{name} is an array {dtype} {shape} in {info.file_size} bytes")
        data = stream.read(math.prod(shape) * dtype.itemsize)
    return np.frombuffer(bytearray(data), dtype).reshape(shape, order="F" if in_columns else "C")
