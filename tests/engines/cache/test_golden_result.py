"""What is kept of a replay beside an engine, and for which engine and inputs it holds."""

import pytest

from meshwright.engines.cache import golden_result as engine_verdict
from meshwright.engines.cache.cache import EngineCache
from meshwright.engines.cache.golden_result import GoldenResult, read_verdict, verdict_on, write_verdict
from meshwright.engines.files import side_file
from meshwright.engines.machine.products import Product
from meshwright.engines.tensorrt.build import BuildRequest
from meshwright.engines.tensorrt.loader import make_key
from tests.engines.engines_on_disk import machine

PRODUCT = Product("tensorrt", "json", ("numpy",), "")


@pytest.fixture
def cache(tmp_path):
    cache = EngineCache(tmp_path / "cache")
    cache.folder.mkdir()
    return cache


def store(cache, data):
    key = make_key(BuildRequest(PRODUCT, cache.folder / "a.onnx", {}), {"a.onnx": "0" * 64}, machine())
    return cache.store("p/a", key, cache.folder / "a.onnx", lambda out: float(out.write_bytes(data)))


def test_it_holds_for_one_engine_and_one_set_of_inputs(cache):
    entry = store(cache, b"one")
    assert read_verdict(entry, "golden", 0.02) is None
    golden_result = verdict_on(entry, "golden", 0.001, 0.02)
    assert golden_result.passed and write_verdict(entry, golden_result)
    assert read_verdict(entry, "golden", 0.02) == golden_result and str(golden_result) == "relative error 1.0e-03, tolerance 2.0e-02"
    assert read_verdict(entry, "other", 0.02) is None and read_verdict(entry, "golden", 0.01) is None
    assert read_verdict(store(cache, b"two"), "golden", 0.02) is None


@pytest.mark.parametrize(("relative", "passed"), [(0.02, True), (0.021, False), (float("nan"), False), (float("inf"), False)])
def test_what_passes(cache, relative, passed):
    entry = store(cache, b"one")
    golden_result = verdict_on(entry, "golden", relative, 0.02)
    assert write_verdict(entry, golden_result) and read_verdict(entry, "golden", 0.02).passed is passed
    assert ("no number" in str(golden_result)) is (golden_result.relative is None)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"engine": "x", "inputs": "golden", "relative": "0", "tolerance": 0.02}'])
def test_a_damaged_file_says_nothing(cache, text):
    entry = store(cache, b"one")
    write_verdict(entry, verdict_on(entry, "golden", 0.001, 0.02))
    entry.path.with_name(entry.path.name + engine_verdict.ENDING).write_text(text.replace('"x"', f'"{entry.sha256}"'))
    assert read_verdict(entry, "golden", 0.02) is None


def test_a_folder_that_cannot_be_written_is_no_error_and_stays_clean(cache, monkeypatch):
    entry = store(cache, b"one")

    def refuse(*arguments):
        raise PermissionError("read-only")

    monkeypatch.setattr(side_file, "replace", refuse)
    assert not write_verdict(entry, GoldenResult(entry.sha256, "golden", 0.0, 0.02))
    assert [path.name for path in cache.folder.iterdir()] == [entry.path.name]


def test_it_goes_with_its_engine(cache):
    entry = store(cache, b"one")
    write_verdict(entry, verdict_on(entry, "golden", 0.001, 0.02))
    cache.remove(entry.path)
    assert list(cache.folder.iterdir()) == []
