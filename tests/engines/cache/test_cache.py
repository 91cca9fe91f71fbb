"""The folder of engines: whole files only, found by key, with a reason for each that is not used."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from meshwright.engines.cache import cache as engine_cache
from meshwright.engines.cache.cache import EngineCache
from meshwright.engines.cache.key import model_hashes
from meshwright.engines.errors import BackendError, InputError, OutputError
from meshwright.engines.files import user_folder
from meshwright.engines.files.user_folder import default_folder
from meshwright.engines.machine import products as tensorrt_products
from meshwright.engines.machine.products import Product
from meshwright.engines.tensorrt.build import BuildRequest
from meshwright.engines.tensorrt.loader import EngineLoader, make_key
from meshwright.engines.tensorrt.prune import prune
from tests.engines.engines_on_disk import NO_GPU, machine
from tests.without_rights import without_rights

PRODUCT = Product("tensorrt", "json", ("numpy",), "")


@pytest.fixture
def model(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"a model")
    return tmp_path / "a.onnx"


@pytest.fixture
def cache(tmp_path):
    cache = EngineCache(tmp_path / "cache")
    cache.folder.mkdir()
    return cache


@pytest.fixture(autouse=True)
def products(monkeypatch):
    """Two that are installed, whatever this machine has."""
    monkeypatch.setattr(tensorrt_products, "PRODUCTS", (PRODUCT, replace(PRODUCT, name="tensorrt-rtx")))


def key(model, **changes):
    return make_key(BuildRequest(PRODUCT, model, {}), model_hashes(model), machine(**changes))


def store(cache, model, data=b"an engine", **changes):
    def build(path):
        path.write_bytes(data)
        return 1.5
    return cache.store("p/a", key(model, **changes), model, build)


def find(cache, model, **changes):
    """The first engine that fits, and why others do not."""
    found, why = EngineLoader(cache, machine(**changes)).find("p/a", key(model, **changes))
    return (found or [None])[0], why


def test_what_was_stored_is_found(cache, model):
    assert find(cache, model) == (None, None)
    entry = store(cache, model)
    found, _ = find(cache, model)
    assert found == entry and found.path.read_bytes()[found.offset:] == b"an engine"
    assert (found.name, found.model, found.bytes, found.seconds) == ("p/a", str(model), 9, 1.5)
    assert [path.name for path in cache.folder.iterdir()] == [f"p-a-{key(model).digest[:16]}.engine"]
    assert find(cache, model, driver="595.1") == (entry, None)
    assert find(cache, model, device="L4") == (None, "the engine in the cache does not fit: GPU L4, the engine's is RTX 4090")


def test_engines_for_two_machines_lie_side_by_side(cache, model):
    store(cache, model, b"one")
    store(cache, model, b"two", device="L4")
    assert [find(cache, model, **of)[0].key.device for of in ({}, {"device": "L4"})] == ["RTX 4090", "L4"]
    assert len(list(cache.entries())) == 2


@pytest.mark.parametrize(("spoil", "said"), [
    (lambda data: data[:-1], "is truncated; received 8 bytes; expected 9 bytes"),
    (lambda data: data[:40], "is damaged"),
    (lambda data: b"", "is not an engine of this release"),
    (lambda data: b"ftrt" + data, "is not an engine of this release"),
    (lambda data: data[:-1] + b"!", "has been modified"),
    (lambda data: data.replace(b'"name"', b'"eman"'), "is damaged"),
    (lambda data: data.replace(b"RTX 4090", b"RTX 4080"), "does not fit: GPU RTX 4090, the engine's is RTX 4080"),
    (lambda data: data.replace(b'"axes": {}', b'"axes": 10'), "is damaged"),
    (lambda data: data.replace(b'"bytes": 9', b'"bytes": ]'), "is damaged"),
    (lambda data: data[:20] + b"\xff" * 8, "is damaged; received a header of 18446744073709551615 bytes"),
    (lambda data: data[:20] + (1 << 19).to_bytes(8, "little") + b"[" * (1 << 19), "is damaged"),
], ids=["a-byte-short", "header-cut", "empty", "raw-engine", "altered", "other-header", "other-card",
        "other-type", "no-json", "no-length", "too-deep"])
def test_a_damaged_file_says_what_is_wrong(cache, model, spoil, said):
    entry = store(cache, model)
    entry.path.write_bytes(spoil(entry.path.read_bytes()))
    found, why = find(cache, model)
    assert found is None and said in why
    entry = store(cache, model)
    assert find(cache, model) == (entry, None)


def test_what_was_noted_beside_an_engine_goes_when_another_takes_its_place(cache, model):
    """Golden results, and loops that were timed and compared: nobody has done that with the new one."""
    entry = store(cache, model)
    notes = [cache.folder / f"{entry.path.name}.{ending}" for ending in ("record", "kernels")]
    for file in notes:
        file.write_bytes(b"{}")

    def fail(path):
        raise BackendError("out of memory")

    with pytest.raises(BackendError):
        cache.store("p/a", key(model), model, fail)
    assert all(file.is_file() for file in notes)
    store(cache, model, b"another")
    assert list(cache.folder.iterdir()) == [entry.path]


@pytest.mark.parametrize("error", [BackendError("out of memory"), KeyboardInterrupt(), BrokenPipeError(32, "nobody reads the progress")],
                         ids=["vendor", "interrupt", "pipe"])
def test_a_build_that_fails_leaves_the_cache_as_it_was(cache, model, error):
    store(cache, model)
    before = {path: path.read_bytes() for path in cache.folder.iterdir()}

    def build(path):
        path.write_bytes(b"half an eng")
        raise error

    with pytest.raises(type(error)) as caught:
        cache.store("p/a", key(model), model, build)
    assert caught.value is error and {path: path.read_bytes() for path in cache.folder.iterdir()} == before


def test_a_disk_that_is_full_when_the_engine_is_put_in_place(cache, model, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(engine_cache.shutil, "copyfileobj", full)
    with pytest.raises(OutputError, match="No space left on device; set MESHWRIGHT_CACHE to a folder"):
        store(cache, model)
    assert list(cache.folder.iterdir()) == []


@pytest.mark.parametrize("folder", ["/proc/engines", "a-file"])
def test_a_folder_that_cannot_be_written(tmp_path, folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-file").write_text("")
    with pytest.raises(OutputError, match="the engine cache .* cannot be written; received .*; set MESHWRIGHT_CACHE"):
        with EngineCache(engine_cache.Path(folder) / "engines").lock([].append):
            pass


@pytest.mark.skipif(os.name != "posix", reason="folders are not made read-only by their mode there")
def test_a_read_only_folder(cache, model):
    store(cache, model)
    cache.folder.chmod(0o555)
    try:
        with without_rights(cache.folder, *cache.folder.iterdir()):
            assert find(cache, model)[0] is not None
            with pytest.raises(OutputError, match="Permission denied"):
                store(cache, model)
    finally:
        cache.folder.chmod(0o755)


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("MESHWRIGHT_CACHE", str(tmp_path))
    assert default_folder() == tmp_path / "engines"
    monkeypatch.delenv("MESHWRIGHT_CACHE")
    monkeypatch.setattr(user_folder.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_folder() == tmp_path / "xdg/meshwright/engines"


def test_its_description(cache, model, monkeypatch):
    monkeypatch.setenv("MESHWRIGHT_CACHE", str(cache.folder.parent))
    monkeypatch.setattr(engine_cache, "default_folder", lambda: cache.folder)
    assert engine_cache.describe() == {"folder": str(cache.folder), "count": 0, "bytes": 0, "damaged": 0, "why_not": None}
    store(cache, model)
    (cache.folder / "b.engine").write_bytes(b"")
    assert engine_cache.describe() == {"folder": str(cache.folder), "count": 1, "bytes": 9, "damaged": 1, "why_not": None}


def test_a_user_without_a_home_folder(monkeypatch):
    for name in ("MESHWRIGHT_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(engine_cache.Path, "home", no_home)
    found = engine_cache.describe()
    assert found["folder"] is None and "set MESHWRIGHT_CACHE to a folder" in found["why_not"]


def test_pruning_keeps_what_can_be_used(cache, model, tmp_path):
    kept = store(cache, model).path
    other = {store(cache, model, device="L4").path, store(cache, model, capability="7.5").path}
    (cache.folder / "b.engine").write_bytes(b"")
    (cache.folder / ".0.part").write_bytes(b"")
    gone = dict(prune(cache, machine()))
    assert set(gone) == {*other, cache.folder / "b.engine", cache.folder / ".0.part"}
    assert {path.name for path in cache.folder.iterdir()} == {kept.name, "lock"}
    assert sorted(why.split()[0] for why in gone.values()) == ["GPU", "b.engine", "compute", "left"]
    model.unlink()
    assert [why for _, why in prune(cache, machine())] == [f"its model {model} is gone"]


def test_an_engine_of_a_model_that_has_changed_is_pruned(cache, model):
    """As after an update of Meshwright: the file has the same place."""
    old = store(cache, model).path
    model.write_bytes(b"a newer model")
    new = store(cache, model).path
    assert prune(cache, machine()) == [(old, f"its model {model} is another one now")]
    assert [entry.path for entry in cache.entries()] == [new]


@pytest.mark.skipif(os.name != "posix", reason="folders are not closed by their mode there")
def test_a_cache_that_may_not_be_looked_into_is_no_empty_one(tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    with without_rights(tmp_path), pytest.raises(OutputError, match="cannot be read; received .*Permission denied"):
        prune(EngineCache(tmp_path / "closed/engines"), machine())


@pytest.mark.skipif(os.name != "posix", reason="folders are not closed by their mode there")
def test_an_engine_whose_model_may_not_be_seen_is_kept(cache, tmp_path):
    (tmp_path / "closed").mkdir()
    model = tmp_path / "closed/a.onnx"
    model.write_bytes(b"a model")
    store(cache, model)
    model.parent.chmod(0)
    try:
        with without_rights(tmp_path, cache.folder, *cache.folder.iterdir()):
            assert prune(cache, machine()) == [] and len(list(cache.entries())) == 1
    finally:
        model.parent.chmod(0o755)


def test_a_machine_that_sees_no_gpu_keeps_the_engines_of_every_one(cache, model):
    store(cache, model)
    store(cache, model, device="L4")
    (cache.folder / "b.engine").write_bytes(b"")
    assert [path.name for path, _ in prune(cache, NO_GPU)] == ["b.engine"] and len(list(cache.entries())) == 2


def test_engines_of_a_product_that_is_gone_are_kept(cache, model, monkeypatch):
    store(cache, model)
    monkeypatch.setattr(tensorrt_products, "PRODUCTS", (replace(PRODUCT, module="no_such", distributions=()),))
    assert prune(cache, machine()) == [] and len(list(cache.entries())) == 1


HOLD = """
import sys
from pathlib import Path
from meshwright.engines.cache.cache import EngineCache
with EngineCache(Path(sys.argv[1])).lock(lambda holder: None):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["closed", "killed"])
def test_one_build_at_a_time(cache, end):
    """Another process holds the lock; when it ends, even by force, the lock is free."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(cache.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        waited = []

        def let_go(who):
            waited.append(who)
            holder.kill() if end == "killed" else holder.stdin.close()

        def give_up():
            raise InputError("it takes too long")

        def unheard(who):
            raise BrokenPipeError("nobody reads the progress")

        with pytest.raises(InputError, match="too long"), cache.lock(lambda who: None, give_up):
            pass
        with pytest.raises(BrokenPipeError, match="nobody reads"), cache.lock(unheard):
            pass
        with cache.lock(let_go):
            assert waited == [f"process {holder.pid}"]
        prune(cache, machine(), waited.append)
        with cache.lock(waited.append):
            assert len(waited) == 1
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
        holder.stdin.close()


def test_what_is_raised_inside_the_lock_is_passed_on(cache):
    with pytest.raises(InputError), cache.lock([].append):
        raise InputError("no")
    with cache.lock(lambda holder: pytest.fail("it is still held")):
        pass
