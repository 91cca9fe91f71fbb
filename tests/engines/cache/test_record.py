"""What is kept of the measurements on an engine, and for which engine, card and inputs it holds."""

import json

import pytest

from meshwright.engines.cache.cache import EngineCache
from meshwright.engines.cache.record import BlockChoice, EngineRecord, GoldenResult
from meshwright.engines.files import side_file
from meshwright.engines.machine.products import Product
from meshwright.engines.tensorrt.build import BuildRequest
from meshwright.engines.tensorrt.loader import make_key
from tests.engines.engines_on_disk import machine

PRODUCT = Product("tensorrt", "json", ("numpy",), "")
PASSED = GoldenResult.of("golden", 0.001, 0.02)


@pytest.fixture
def cache(tmp_path):
    cache = EngineCache(tmp_path / "cache")
    cache.folder.mkdir()
    return cache


def store(cache, data):
    key = make_key(BuildRequest(PRODUCT, cache.folder / "a.onnx", {}), {"a.onnx": "0" * 64}, machine())
    return cache.store("p/a", key, cache.folder / "a.onnx", lambda out: float(out.write_bytes(data)))


def test_a_golden_result_holds_for_one_engine_card_and_set_of_inputs(cache):
    entry = store(cache, b"one")
    record = cache.record(entry, "RTX 4090")
    assert record.golden_result("golden", 0.02) is None
    assert record.keep_golden_result(PASSED)
    assert cache.record(entry, "RTX 4090").golden_result("golden", 0.02) == PASSED
    assert str(PASSED) == "relative error 1.0e-03, tolerance 2.0e-02"
    assert record.golden_result("other", 0.02) is None and record.golden_result("golden", 0.01) is None
    assert cache.record(entry, "RTX 3090").golden_result("golden", 0.02) is None
    assert cache.record(store(cache, b"two"), "RTX 4090").golden_result("golden", 0.02) is None


def test_results_and_loops_of_two_cards_lie_in_one_file(cache):
    entry, choice = store(cache, b"one"), BlockChoice(4, 50.0, 1.0, 2.0)
    here, there = cache.record(entry, "RTX 4090"), cache.record(entry, "RTX 3090")
    here.keep_golden_result(PASSED)
    there.keep_loop("x 3", choice)
    here.keep_loop("x 4", BlockChoice(0, 50.0, 3.0, 2.5))
    assert here.loops() == {"x 4": BlockChoice(0, 50.0, 3.0, 2.5)} and there.loops() == {"x 3": choice}
    here.forget_golden_result()
    assert here.golden_result("golden", 0.02) is None and len(here.loops()) == 1
    assert {path.name for path in cache.folder.iterdir()} == {entry.path.name, f"{entry.path.name}.record"}


@pytest.mark.parametrize(("relative", "passed"), [(0.02, True), (0.021, False), (float("nan"), False), (float("inf"), False)])
def test_what_passes(tmp_path, relative, passed):
    record, result = EngineRecord(tmp_path / "a.engine"), GoldenResult.of("golden", relative, 0.02)
    assert record.keep_golden_result(result) and record.golden_result("golden", 0.02).passed is passed
    assert ("no number" in str(result)) is (result.relative is None)


@pytest.mark.parametrize("measured", [
    None, [], {"golden": None, "loops": 3}, {"golden": [], "loops": []}, {"golden": {}, "loops": {"x 3": {}}},
    {"golden": {"inputs": "golden", "relative": "0", "tolerance": 0.02}, "loops": {"x 3": {"use_graph": "no"}}},
    {"golden": {"inputs": "golden", "relative": 0, "tolerance": 0.02, "more": 1}, "loops": {"x 3": {
        "steps": 4, "block_ms": 50, "graph_ms": "1", "plain_ms": None, "why_not": None}}},
])
def test_damaged_measurements_say_nothing_and_are_made_again(tmp_path, measured):
    record = EngineRecord(tmp_path / "a.engine", "sha", "card")
    record.path.write_text(json.dumps({"engine": "sha", "cards": {"card": measured}}))
    assert record.golden_result("golden", 0.02) is None and record.loops() == {}
    record.keep_loop("x 3", BlockChoice(4, 50.0))
    assert record.loops() == {"x 3": BlockChoice(4, 50.0)}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"engine": "sha", "cards": []}', "[" * 100_000])
def test_a_damaged_file_says_nothing(tmp_path, text):
    record = EngineRecord(tmp_path / "a.engine", "sha")
    record.path.write_text(text)
    assert record.golden_result("golden", 0.02) is None and record.loops() == {}


def test_a_folder_that_cannot_be_written_is_no_error_and_stays_clean(cache, monkeypatch):
    entry = store(cache, b"one")

    def refuse(*arguments):
        raise PermissionError("read-only")

    monkeypatch.setattr(side_file, "replace", refuse)
    assert not cache.record(entry, "card").keep_golden_result(PASSED)
    assert [path.name for path in cache.folder.iterdir()] == [entry.path.name]
    assert not EngineRecord(cache.folder / "gone" / "a.engine").keep_loop("x 3", BlockChoice(4, 50.0))


def test_it_goes_with_its_engine(cache):
    entry = store(cache, b"one")
    cache.record(entry, "card").keep_golden_result(PASSED)
    cache.remove(entry.path)
    assert list(cache.folder.iterdir()) == []
