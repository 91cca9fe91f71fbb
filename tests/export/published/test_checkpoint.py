"""Reading tensors: every format of the published files, mapped from disk, and what is wrong with a file."""

import builtins
import json
import os
import sys
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file

from meshwright.engines.errors import CheckpointError
from meshwright.export.published.checkpoint import files_of, listing, read_tensors
from tests.without_rights import without_rights

TENSORS = {"a.weight": torch.arange(12.0).reshape(3, 4), "b": torch.tensor([1.5, -2.0], dtype=torch.float16),
           "ids": torch.arange(5).expand(1, -1).contiguous()}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123456\n"


class Payload:
    """Would write a file if it were executed."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return builtins.exec, (f"open({str(self.target)!r}, 'w').close()",)


def same(found, expected=TENSORS):
    return found.keys() == expected.keys() and all(
        found[name].dtype == tensor.dtype and torch.equal(found[name], tensor) for name, tensor in expected.items())


def safetensors(folder, tensors=TENSORS, name="model.safetensors"):
    save_file(tensors, folder / name)
    return folder / name


def pickled(folder, document, name="model.bin", **options):
    torch.save(document, folder / name, **options)
    return folder / name


def test_safetensors(tmp_path):
    assert same(read_tensors(safetensors(tmp_path)))


@pytest.mark.parametrize("document", [
    TENSORS, OrderedDict(TENSORS), {"state_dict": TENSORS, "epoch": 3, "version": "2.1"}, {**TENSORS, "step": 7}])
@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
def test_pickles_nested_or_not_and_from_before_pytorch_1_6(tmp_path, document, options):
    assert same(read_tensors(pickled(tmp_path, document, **options)))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells where files are mapped")
@pytest.mark.parametrize("save", [safetensors, pickled])
def test_tensors_are_mapped_from_their_file(tmp_path, save):
    path = save(tmp_path, {"w": torch.ones(64, 1024)})
    address = read_tensors_address(tensors := read_tensors(path))
    with open("/proc/self/maps") as maps:
        ranges = [line.split()[0].split("-") for line in maps if line.rstrip().endswith(path.name)]
    assert any(int(low, 16) <= address < int(high, 16) for low, high in ranges)
    assert tensors["w"].sum() == 65536


def read_tensors_address(tensors):
    return tensors["w"].data_ptr()


@pytest.fixture
def shards(tmp_path):
    names = list(TENSORS)
    safetensors(tmp_path, {name: TENSORS[name] for name in names[:2]}, "model-00001-of-00002.safetensors")
    safetensors(tmp_path, {names[2]: TENSORS[names[2]]}, "model-00002-of-00002.safetensors")
    parts = [f"model-0000{1 + (i == 2)}-of-00002.safetensors" for i in range(3)]
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": dict(zip(names, parts, strict=True))}))
    return index


def test_a_sharded_checkpoint(shards):
    assert same(read_tensors(shards))
    assert [path.name for path in files_of(shards)] == [
        shards.name, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]


def test_a_shard_that_is_missing_or_lacks_a_tensor(shards):
    second = shards.with_name("model-00002-of-00002.safetensors")
    save_file({"other": torch.ones(1)}, second)
    with pytest.raises(CheckpointError, match="lack tensors; received 1 missing: ids"):
        read_tensors(shards)
    second.unlink()
    with pytest.raises(CheckpointError, match="model-00002-of-00002.safetensors does not exist"):
        read_tensors(shards)


def test_an_index_that_names_a_file_of_too_long_a_name(tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": 300 * "x"}}))
    with pytest.raises(CheckpointError, match="xxx does not exist"):
        read_tensors(index)


@pytest.mark.parametrize("file", ["../secret.safetensors", "/etc/passwd", "a\\b", 3])
def test_an_index_that_names_a_file_elsewhere(tmp_path, file):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": file}}))
    with pytest.raises(CheckpointError, match="is not an index of shards"):
        read_tensors(index)


@pytest.mark.parametrize("save", [safetensors, pickled])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_a_truncated_file(tmp_path, save, share):
    path = save(tmp_path, {"w": torch.randn(100, 100)})
    path.write_bytes(path.read_bytes()[:int(path.stat().st_size * share)])
    with pytest.raises(CheckpointError, match=rf"{path.name} is damaged.* received {path.stat().st_size} bytes.*; download the file again"):
        read_tensors(path)


@pytest.mark.parametrize("name", ["a.safetensors", "a.bin", "a.ckpt"])
@pytest.mark.parametrize("content", [b"hello, this is no checkpoint at all", b"\x80\x02}q\x00X\x05\x00" * 9, bytes(100)])
def test_a_file_of_something_else(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{name} is damaged"):
        read_tensors(tmp_path / name)


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
def test_a_pickle_of_more_than_tensors_is_refused_and_not_executed(tmp_path, options):
    target = tmp_path / "executed"
    path = pickled(tmp_path, {"state_dict": {**TENSORS, "x": Payload(target)}}, **options)
    with pytest.raises(CheckpointError, match="more than tensors; received .*exec.* was refused and nothing in the file was executed"):
        read_tensors(path)
    assert not target.exists()


def test_a_pickle_without_named_tensors(tmp_path):
    for document, words in (([torch.ones(2)], "received list"), ({"epoch": 3}, "received 1 entries: epoch"),
                            ({"state_dict": {}}, "received 0 entries")):
        with pytest.raises(CheckpointError, match=f"holds no named tensors; {words}"):
            read_tensors(pickled(tmp_path, document))


@pytest.mark.parametrize("name", ["a.safetensors", "a.bin"])
def test_files_that_are_not_there(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(CheckpointError, match="does not exist"):
        read_tensors(path)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="holds no weights; received 0 bytes"):
        read_tensors(path)
    path.write_text(POINTER)
    with pytest.raises(CheckpointError, match="pointer of Git LFS .* run `git lfs pull`"):
        read_tensors(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(CheckpointError, match="is a folder; expected a file of weights"):
        read_tensors(path)


@pytest.mark.skipif(os.name != "posix", reason="files are not closed by their mode there")
def test_a_file_without_permission(tmp_path):
    path = safetensors(tmp_path)
    path.chmod(0)
    with without_rights(path), pytest.raises(CheckpointError, match="cannot be read"):
        read_tensors(path)


def test_a_listing_stops_at_twenty():
    assert listing(["a", "b"], "missing") == "2 missing: a, b"
    text = listing([f"n{i}" for i in range(23)], "extra")
    assert text.startswith("23 extra: n0, n1,") and text.endswith("n19 and 3 more")
