"""Engines in a pack's folder: what is written there, and what of it is believed."""

import json
import os
from hashlib import sha256

import pytest

from meshwright.engines.cache.cache import DamagedEngine, EngineCache, Entry
from meshwright.engines.cache.record import BlockChoice
from meshwright.engines.cache.shipped import ShippedEngines, listing_hash, ship
from meshwright.engines.machine.products import Product
from meshwright.engines.tensorrt.build import BuildRequest
from meshwright.engines.tensorrt.loader import make_key
from meshwright.engines.tensorrt.prune import prune
from tests.engines.engines_on_disk import NO_GPU

PRODUCT = Product("tensorrt-rtx", "json", ("numpy",), "", is_portable=True)


@pytest.fixture
def cache(tmp_path):
    return EngineCache(tmp_path / "cache")


@pytest.fixture
def pack(tmp_path):
    (tmp_path / "pack").mkdir()
    return tmp_path / "pack"


def store(cache, name, data, model_hash="0" * 64, capabilities=()):
    cache.folder.mkdir(exist_ok=True)
    request = BuildRequest(PRODUCT, cache.folder / "a.onnx", {}, capabilities=capabilities)
    return cache.store(name, make_key(request, {"a.onnx": model_hash}, NO_GPU), request.model, lambda out: float(out.write_bytes(data)))


def test_engines_are_copied_and_listed_by_their_hashes(cache, pack):
    entry = store(cache, "p/a", b"an engine")
    files, digest = ship(pack, [entry])
    assert digest == sha256((pack / "engines/engines.json").read_bytes()).hexdigest() == listing_hash(pack)
    assert json.loads((pack / "engines/engines.json").read_text()) == {
        "format": 1, "engines": {files[0].name: sha256(files[0].read_bytes()).hexdigest()}}
    shipped = ShippedEngines(pack)
    ((_, found),) = shipped.files("p/a")
    shipped.check(found)
    assert found.path == files[0] and found.path.read_bytes()[found.offset:] == b"an engine"
    assert (found.key, found.sha256, found.name, found.model) == (entry.key, entry.sha256, "p/a", "a.onnx")
    assert str(cache.folder) not in files[0].read_bytes().decode("latin1")  # nobody learns where it was built
    assert sorted(path.name for path in (pack / "engines").iterdir()) == ["engines.json", files[0].name]


def test_a_new_engine_takes_the_place_of_an_old_one_and_the_others_stay(cache, pack):
    a, b, turing = store(cache, "p/a", b"one"), store(cache, "p/b", b"two"), store(cache, "p/a", b"for Turing", capabilities=("7.5",))
    ship(pack, [a, b, turing])
    ship(pack, [store(cache, "p/a", b"of a newer model", model_hash="1" * 64)])
    there = [entry for name in ("p/a", "p/b") for _, entry in ShippedEngines(pack).files(name)]
    assert sorted(entry.path.read_bytes()[entry.offset:] for entry in there) == [b"for Turing", b"of a newer model", b"two"]
    assert len(list((pack / "engines").glob("*.engine"))) == 3
    ship(pack, [b], keep=False)
    assert [path.name for path in (pack / "engines").glob("*.engine")] == [b.path.name]


def test_a_copy_that_fails_leaves_the_pack_as_it_was(cache, pack):
    ship(pack, [store(cache, "p/a", b"one")])
    before = {path: path.read_bytes() for path in pack.rglob("*") if path.is_file()}
    gone = store(cache, "p/b", b"two")
    gone.path.unlink()
    with pytest.raises(OSError):
        ship(pack, [store(cache, "p/a", b"another"), gone])
    assert {path: path.read_bytes() for path in pack.rglob("*") if path.is_file()} == before


def test_what_is_not_listed_or_was_altered_is_not_used(cache, pack):
    (path,), _ = ship(pack, [store(cache, "p/a", b"an engine")])
    (pack / "engines/p-a-added.engine").write_bytes(path.read_bytes())
    shipped = ShippedEngines(pack)
    ((_, entry),) = shipped.files("p/a")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(DamagedEngine, match="of the pack has been modified"):
        shipped.check(entry)
    path.write_bytes(b"cut")
    ((_, damaged),) = shipped.files("p/a")
    assert isinstance(damaged, DamagedEngine) and not list(ShippedEngines(pack, "not trusted").files("p/a"))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 2, "engines": {}}', '{"format": 1}', '{"format": 1, "engines": []}',
                                  '{"format": 1, "engines": {"../a.engine": "x", "sub/b.engine": "x", "c": "x", "link.engine": "x"}}'])
def test_lists_that_are_not_ours_name_nothing(cache, pack, tmp_path, text):
    (pack / "engines").mkdir()
    entry = store(cache, "", b"an engine")
    if hasattr(os, "symlink"):
        (pack / "engines/link.engine").symlink_to(entry.path)
    (pack / "engines/engines.json").write_text(text)
    assert list(ShippedEngines(pack).files("")) == [] and ShippedEngines(pack, "not trusted").why_not is None


def test_a_pack_without_engines_has_nothing_to_say(pack):
    assert listing_hash(pack) is None and ShippedEngines(pack, "not trusted").why_not is None and not list(ShippedEngines(pack).files("a"))


def test_what_was_measured_on_them_lies_in_the_cache_until_they_are_gone(cache, pack):
    (path,), _ = ship(pack, [store(cache, "p/a", b"an engine")])
    ((_, entry),) = ShippedEngines(pack).files("p/a")
    assert isinstance(entry, Entry)
    record = cache.record(entry, "a card")
    record.keep_loop("x 3", BlockChoice(4, 50.0))
    record.kernels.write_bytes(b"kernels")
    assert record.path == cache.folder / "of_packs" / f"{entry.sha256}.record"
    (cache.folder / "a.onnx").write_bytes(b"")  # of another hash, so that its engine goes
    assert all(gone.parent == cache.folder for gone, _ in prune(cache, NO_GPU)) and record.loops() != {}
    path.unlink()
    assert {gone.name for gone, _ in prune(cache, NO_GPU)} == {record.path.name, record.kernels.name}
