"""Golden archives: what they unpack to is bounded before it is unpacked, and what is wrong with them is said."""

import io
import zipfile

import numpy as np
import pytest

from meshwright.engines.errors import PackFormat
from meshwright.engines.files import array_archive
from meshwright.engines.files.array_archive import ArrayArchive


def archive(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as written:
        for name, data in members.items():
            written.writestr(name, data)
    return ArrayArchive(path, "golden.npz", PackFormat)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header(text, version=b"\x01\x00"):
    padded = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + version + len(padded).to_bytes(2, "little") + padded


def test_arrays_are_read(tmp_path):
    arrays = {"a/in/x": np.arange(6.0).reshape(2, 3), "a/out/y": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
              "b": np.float16(3), "c": np.zeros((0, 4), np.uint8)}
    np.savez_compressed(tmp_path / "g.npz", **arrays)
    found = ArrayArchive(tmp_path / "g.npz", "golden.npz", PackFormat)
    assert found.names == tuple(arrays)
    for name, value in found.read(found.names).items():
        assert value.dtype == arrays[name].dtype and value.flags.writeable
        np.testing.assert_array_equal(value, arrays[name])


@pytest.mark.parametrize("data", [
    header("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }"), header("{'descr': '<f4', 'shape': (-1,), }"),
    header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1), }") + b"1234", header("(" * 100), header("1" * 100),
    header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }") + bytes(8), header("{'descr': '<V9', 'shape': (), }", b"\x09\x00"),
    header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }") + b"1234", b"", b"\x93NUMPY", npy(np.array(["text"])),
    npy(np.zeros(3))[:-1], npy(np.zeros(3)) + b"x", header("{'descr': 3, 'fortran_order': False, 'shape': (1,), }"),
    header("{'descr': '<f4', 'fortran_order': False, 'shape': (True, 1.5), }")])
def test_arrays_that_lie(tmp_path, data):
    found = archive(tmp_path / "g.npz", {"a.npy": data})
    with pytest.raises(PackFormat, match="golden.npz cannot be read"):
        found.read(["a"])


def test_a_small_archive_that_unpacks_to_a_lot(tmp_path, monkeypatch):
    monkeypatch.setattr(array_archive, "MAX_BYTES", 1 << 20)
    found = archive(tmp_path / "g.npz", {f"{i}.npy": npy(np.zeros(100_000, np.float32)) for i in range(3)})
    assert (tmp_path / "g.npz").stat().st_size < 5000
    assert found.read(["0", "1"])["1"].shape == (100_000,)
    with pytest.raises(PackFormat, match="golden.npz is too large when unpacked; received 1200384 bytes; expected at most 1048576"):
        found.read(found.names)


def test_too_many_arrays(tmp_path, monkeypatch):
    monkeypatch.setattr(array_archive, "MAX_ARRAYS", 2)
    with pytest.raises(PackFormat, match="too many arrays"):
        archive(tmp_path / "g.npz", {f"{i}.npy": b"" for i in range(3)})


@pytest.mark.parametrize("data", [b"", b"PK", npy(np.zeros(3)), bytes(100), b"PK\x05\x06" + bytes(18)[:-1] + b"\xff"])
def test_no_archive(tmp_path, data):
    (tmp_path / "g.npz").write_bytes(data)
    with pytest.raises(PackFormat, match="golden.npz cannot be read"):
        ArrayArchive(tmp_path / "g.npz", "golden.npz", PackFormat).read(["a"])


def test_an_archive_that_is_encrypted_or_packed_otherwise(tmp_path):
    archive(tmp_path / "g.npz", {"a.npy": npy(np.zeros(3))})
    data = bytearray((tmp_path / "g.npz").read_bytes())
    central = data.index(b"PK\x01\x02")
    for at, value in ((central + 8, 1), (central + 10, 99)):  # flags; method
        changed = bytearray(data)
        changed[at] = value
        (tmp_path / "g.npz").write_bytes(changed)
        with pytest.raises(PackFormat, match="golden.npz cannot be read"):
            ArrayArchive(tmp_path / "g.npz", "golden.npz", PackFormat).read(["a"])
