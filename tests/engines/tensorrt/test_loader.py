"""From the cache, or built: why, and how often."""

import subprocess
import sys
from dataclasses import replace

import pytest

from meshwright.engines.cache.cache import EngineCache
from meshwright.engines.cache.key import model_hashes
from meshwright.engines.errors import BackendError
from meshwright.engines.machine.products import choose
from meshwright.engines.tensorrt.build import capabilities_for
from meshwright.engines.tensorrt.loader import EngineLoader, make_key
from meshwright.engines.tensorrt.network import Range
from tests.engines import models
from tests.engines.engines_on_disk import NO_GPU, Told, affine, machine
from tests.engines.platforms import TENSORRT_RTX

pytestmark = TENSORRT_RTX

WHY = "p/affine: the engine in the cache does not fit:"


@pytest.fixture
def cache(tmp_path):
    return EngineCache(tmp_path / "cache")


def load(cache, order, hardware=NO_GPU):
    told = Told()
    entry, new = EngineLoader(cache, hardware).load("p/affine", order, model_hashes(order.model), told.teller)
    return entry, new, told


def find(cache, order, hardware=NO_GPU):
    """The first engine that fits, and why others do not."""
    found, why = EngineLoader(cache, hardware).find("p/affine", make_key(order, model_hashes(order.model), hardware))
    return (found or [None])[0], why


def test_built_once_then_found(cache, tmp_path):
    order = affine(tmp_path)
    assert find(cache, order) == (None, None)
    entry, new, told = load(cache, order)
    assert new and told.notes == [] and told.estimates == [None] and told.shares
    assert entry.path.read_bytes()[entry.offset:][:4] == b"vtrt"
    again, new, told = load(cache, order)
    assert again == entry and not new and told == Told()
    assert find(cache, order) == (entry, None)
    assert find(cache, order, machine()) == (entry, None)  # a machine with a GPU uses what one without has built
    assert load(cache, order, machine(driver="581.1", capability="12.0"))[:2] == (entry, False)


def test_a_damaged_engine_is_built_again_with_the_reason(cache, tmp_path):
    entry = load(cache, affine(tmp_path))[0]
    entry.path.write_bytes(entry.path.read_bytes()[:-5])
    again, new, told = load(cache, affine(tmp_path))
    assert new and again.sha256 is not None and told.notes[0].startswith(f"p/affine: {entry.path.name} is truncated; received ")
    assert told.notes[0].endswith("; it is rebuilt") and load(cache, affine(tmp_path))[:2] == (again, False)


def test_what_a_build_that_was_killed_has_left_is_swept(cache, tmp_path):
    cache.folder.mkdir()
    (cache.folder / ".build-00.raw.part").write_bytes(b"half an engine")
    (cache.folder / ".build-00.raw.part-a").mkdir()
    (cache.folder / ".build-00.raw.part-a/affine.onnx").write_bytes(b"a copy with other weights")
    (cache.folder / ".01.part").write_bytes(b"a note that somebody is just writing")
    entry = load(cache, affine(tmp_path))[0]
    assert {path.name for path in cache.folder.iterdir()} == {"lock", ".01.part", entry.path.name}


def test_a_build_is_estimated_by_those_before(cache, tmp_path):
    order = affine(tmp_path)
    seconds = load(cache, order)[0].seconds
    loader = EngineLoader(cache, NO_GPU)
    assert loader.estimate(replace(order, model=tmp_path / "elsewhere" / order.model.name)) == seconds
    other = models.loop(tmp_path / "loop.onnx")
    assert 0 < loader.estimate(replace(order, model=other)) < seconds  # a smaller file than that engine


def test_a_stale_engine_is_built_again_with_the_reason(cache, tmp_path):
    order = affine(tmp_path)
    load(cache, order)
    models.loop(order.model)  # another model of that name
    _, new, told = load(cache, replace(order, axes={"length": Range(1, 2, 8)}))
    assert new and told.notes == [f"{WHY} ranges of open axes changed, model changed; it is rebuilt"]


def test_engines_for_chosen_capabilities_lie_beside_the_others_and_come_second(cache, tmp_path):
    order = affine(tmp_path)
    turing = load(cache, replace(order, capabilities=("7.5", "8.9")))[0]
    assert turing.key.capability == "7.5 8.9" and find(cache, order, machine(capability="7.5")) == (turing, None)
    entry, new, _ = load(cache, order)
    assert new and entry.key.capability == "8.0 and later"
    assert EngineLoader(cache, NO_GPU).find("p/affine", make_key(order, model_hashes(order.model), NO_GPU)) == ([entry, turing], None)
    with pytest.raises(BackendError, match="does not build engines for the compute capability; received 9.0"):
        load(cache, replace(order, capabilities=("9.0",)))


def test_what_a_machine_builds_for():
    rtx, plain = choose("tensorrt-rtx"), choose("tensorrt")
    found = [capabilities_for(rtx, machine(capability=each)) for each in ("7.5", "8.6", "12.0", "9.0", "6.1", None)]
    assert found == [("7.5",), (), (), (), (), ()]
    assert capabilities_for(rtx, NO_GPU) == capabilities_for(plain, machine(capability="7.5")) == ()


def test_a_build_that_fails_leaves_the_cache_as_it_was(cache, tmp_path):
    load(cache, affine(tmp_path))
    before = {path: path.read_bytes() for path in cache.folder.iterdir() if path.suffix == ".engine"}
    order = replace(affine(tmp_path), model=models.nonzero(tmp_path / "affine.onnx"), axes={"length": Range(1, 2, 8)})
    with pytest.raises(BackendError, match="NonZero"):
        load(cache, order)
    assert {path: path.read_bytes() for path in cache.folder.iterdir() if path.name != "lock"} == before


BUILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.engines.tensorrt.test_loader import load
from tests.engines.engines_on_disk import affine
from meshwright.engines.cache.cache import EngineCache
folder = Path(sys.argv[2])
(folder / sys.argv[3]).mkdir()
print("ready", flush=True)
sys.stdin.readline()
_, new, told = load(EngineCache(folder / "cache"), affine(folder / sys.argv[3]))
print(new)
"""


def test_two_processes_build_one_engine_once(tmp_path, pytestconfig):
    command = [sys.executable, "-c", BUILD, str(pytestconfig.rootpath), str(tmp_path)]
    both = [subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for name in ("one", "two")]
    try:
        assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
        for process in both:
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = [process.communicate(timeout=120)[0] for process in both]
    finally:
        for process in both:
            process.kill()
            process.wait()
    assert sorted(answers) == ["False\n", "True\n"]
    assert len(list(EngineCache(tmp_path / "cache").entries())) == 1
