"""Arrays of an `.npz` archive, read with suspicion: what each will take is known, and bounded, before a value is unpacked."""

from __future__ import annotations

import io
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..errors import MeshwrightError
from .regular_file import open_regular

MAX_FILE_BYTES = 1 << 30
MAX_ARRAYS, MAX_BYTES = 4096, 512 << 20  # of all arrays that are unpacked at a time
MAX_RANK, ENDING = 16, ".npy"
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
FIRST_DATE = (1980, 1, 1, 0, 0, 0)  # of a ZIP archive: the same arrays give the same bytes


def archive_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """An archive of arrays of numbers, by name, without compression. The same arrays give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(name + ENDING, FIRST_DATE), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return out.getvalue()


class ArrayArchive:
    """The arrays of one archive, each read when it is asked for.

    name : what messages call the file; error : raised for a file that is no such thing
    """

    def __init__(self, path: Path, name: str, error: type[MeshwrightError]) -> None:
        self._path, self._name, self._error = path, name, error
        with self._opened() as archive:
            found = archive.infolist()
            if len(found) > MAX_ARRAYS or len({each.filename for each in found}) < len(found):
                raise self._error(f"{self._name} holds too many arrays, or one of them twice", received=str(len(found)),
                                 expected=f"at most {MAX_ARRAYS}")
            self.names = tuple(each.filename.removesuffix(ENDING) for each in found if each.filename.endswith(ENDING))

    def read(self, names: Collection[str]) -> dict[str, np.ndarray]:
        """Those arrays, which the archive has."""
        with self._opened() as archive:
            total = sum(archive.getinfo(name + ENDING).file_size for name in names)
            if total > MAX_BYTES:
                raise self._error(f"{self._name} is too large when unpacked", received=f"{total} bytes", expected=f"at most {MAX_BYTES}")
            return {name: _array(archive, name) for name in names}

    @contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        try:
            with open_regular(self._path, self._name, self._error, max_bytes=MAX_FILE_BYTES) as stream, zipfile.ZipFile(stream) as archive:
                yield archive
        # What zipfile and NumPy raise for damaged archives is not one class: RuntimeError where one is encrypted, for instance.
        except (ValueError, OSError, EOFError, LookupError, RuntimeError, SyntaxError, TypeError, OverflowError, MemoryError,
                tokenize.TokenError, zipfile.BadZipFile, zlib.error, struct.error) as error:
            raise self._error(f"{self._name} cannot be read", received=str(error) or type(error).__name__) from error


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
