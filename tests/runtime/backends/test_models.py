"""Memory: which model files are held, and that holding fewer changes nothing but the time."""

import threading

import numpy as np
import pytest

from meshwright.engines.errors import ModelFileError
from meshwright.engines.machine import memory
from meshwright.runtime import InputError, Pipeline, StageDone
from meshwright.runtime.backends import models as models_module
from meshwright.runtime.backends import selector as backends
from meshwright.runtime.pipeline import RECIPES

FAST = {"texture": 64, "faces": 500}
HELD = ("refiner_step", "vae_encoder", "reconstructor")


@pytest.fixture
def large(monkeypatch, tiny):
    """Counts three files of the tiny pack as large."""
    def is_large(self, kind):
        return kind in HELD

    monkeypatch.setattr(models_module.Models, "_is_large", is_large)


def test_low_memory_gives_the_same_and_holds_one_at_a_time(tiny, pipe, large, monkeypatch):
    most, opened = [], []
    open_engine = backends.open_engine

    def watch(path, **options):
        opened.append(path.stem)
        return open_engine(path, **options)

    monkeypatch.setattr(backends, "open_engine", watch)
    with Pipeline.open(tiny, threads=1, memory="low") as low:
        for event in low.stream("a red chair", seed=3, **FAST):
            most.append([kind for kind in low.models._engines if kind in HELD])
            if isinstance(event, StageDone):
                assert most[-1] == []
        made = event.generation
        assert max(map(len, most)) == 1
        low.generate("a red chair", seed=3, **FAST)
    assert all(opened.count(kind) == 2 for kind in HELD)
    assert all(opened.count(kind) == 1 for kind in opened if kind not in HELD)
    usual = pipe.generate("a red chair", seed=3, **FAST)
    assert made.provenance == usual.provenance
    for name in ("vertices", "faces", "uvs", "texture"):
        np.testing.assert_array_equal(getattr(made.mesh, name), getattr(usual.mesh, name))
    np.testing.assert_array_equal(made.stages.views, usual.stages.views)


def test_lowest_memory_maps_the_large_files_alone(tiny, pipe, large, monkeypatch):
    mapped = {}
    open_engine = backends.open_engine

    def watch(path, *, map_weights, **options):
        mapped[path.stem] = map_weights
        return open_engine(path, map_weights=map_weights, **options)

    monkeypatch.setattr(backends, "open_engine", watch)
    with Pipeline.open(tiny, threads=1, memory="lowest") as lowest:
        made = lowest.generate("a red chair", seed=3, **FAST)
    assert mapped == {kind: kind in HELD for kind in mapped} and mapped.keys() >= set(HELD)
    usual = pipe.generate("a red chair", seed=3, **FAST)
    np.testing.assert_allclose(made.stages.views, usual.stages.views, atol=1e-4)
    low, high = (made.mesh.bounds, usual.mesh.bounds)
    np.testing.assert_allclose(low, high, atol=1e-3)


@pytest.mark.parametrize("memory, keeps", [("normal", {"text_encoder"}), ("low", set()), ("lowest", set())])
def test_scratch_is_kept_by_small_networks_where_memory_need_not_be_saved(tiny, large, monkeypatch, memory, keeps):
    kept = set()
    open_engine = backends.open_engine

    def watch(path, *, keep_scratch, **options):
        kept.update({path.stem} if keep_scratch else ())
        return open_engine(path, keep_scratch=keep_scratch, **options)

    monkeypatch.setattr(backends, "open_engine", watch)
    with Pipeline.open(tiny, threads=1, memory=memory) as pipe:
        pipe.prewarm(["text_encoder", HELD[0]])
    assert kept == keeps


def test_low_memory_closes_what_it_drops(tiny, large):
    with Pipeline.open(tiny, threads=1, memory="low") as low:
        first = low.models.engine("vae_encoder")
        small = low.models.engine("text_encoder")
        low.models.engine("refiner_step")
        assert first._closed and not small._closed
        assert low.models.engine("refiner_step") is low.models.engine("refiner_step")


def test_prewarming_with_low_memory_opens_the_small_ones(tiny, large):
    with Pipeline.open(tiny, threads=1, memory="low") as low:
        low.prewarm()
        assert set(low.models._engines) == {c.kind for c in low.pack.manifest.components.values()} - set(HELD)
        low.prewarm(["refiner_step"])
        assert "refiner_step" in low.models._engines


def test_large_is_what_the_manifest_says(tiny, monkeypatch):
    with Pipeline.open(tiny, threads=1, memory="low") as low:
        sizes = {path.stem: path.stat().st_size for path in tiny.glob("*.onnx")}
        monkeypatch.setattr(models_module, "LARGE", sizes["refiner_step"])
        assert [kind for kind in sizes if low.models._is_large(kind)] == [k for k in sizes if sizes[k] >= sizes["refiner_step"]]


def test_unknown_memory(tiny):
    with pytest.raises(InputError, match="unknown memory mode; received 'none'; expected normal, low, lowest"):
        Pipeline.open(tiny, memory="none")


def test_each_stage_tells_its_peak_to_who_asks_for_it(tiny):
    with Pipeline.open(tiny, threads=1, measure_memory=True) as pipe:
        made = pipe.generate("a red chair", **FAST)
    assert tuple(made.peak_memory) == pipe.stages
    assert all(10 << 20 < peak < 64 << 30 for peak in made.peak_memory.values())
    assert "memory" not in made.extras


def test_nobody_else_s_mark_of_the_process_is_moved(pipe, tmp_path, monkeypatch):
    """Who embeds the library may be watching the peak of the process, which every reset would hide."""
    monkeypatch.setattr(memory, "REFERENCES", tmp_path / "clear_refs")
    made = pipe.generate("a red chair", **FAST)
    assert made.peak_memory == {} and not (tmp_path / "clear_refs").exists()


def test_components_of_a_run_are_opened_ahead_in_the_order_of_use(tiny, monkeypatch):
    """On another thread than the run's, each once, and the run takes what was opened."""
    opened = []
    open_engine = backends.open_engine

    def watch(path, **options):
        opened.append((path.stem, threading.current_thread().name))
        return open_engine(path, **options)

    monkeypatch.setattr(backends, "open_engine", watch)
    with Pipeline.open(tiny, threads=2) as pipe:
        route = RECIPES["text"].components
        pipe.models.open_ahead(route)
        wanted = pipe.models.engine("field_color")
        assert pipe.models.engine("field_color") is wanted
        for kind in route:
            if pipe.models.has(kind):
                pipe.models.engine(kind)
        pipe.generate("a red chair", **FAST)
    kinds = [kind for kind, _ in opened]
    assert sorted(kinds) == sorted(set(kinds))
    ahead = [kind for kind, thread in opened if thread.startswith("meshwright-open")]
    assert ahead and ahead == [kind for kind in route if kind in ahead]


def test_what_cannot_be_opened_ahead_fails_where_it_is_used(tiny, monkeypatch):
    open_engine = backends.open_engine

    def fail(path, **options):
        if path.stem == "prior_step":
            raise ModelFileError("no model today")
        return open_engine(path, **options)

    monkeypatch.setattr(backends, "open_engine", fail)
    with Pipeline.open(tiny, threads=2) as pipe:
        pipe.models.open_ahead(["text_encoder", "prior_step"])
        assert list(pipe.models._ahead) == ["prior_step"]
        pipe.models.engine("text_encoder")
        with pytest.raises(ModelFileError, match="no model today"):
            pipe.models.engine("prior_step")


def test_closing_ends_what_is_opened_ahead(tiny, monkeypatch):
    """Also where it was opened and never asked for; and a run that ends early opens no more."""
    made, open_engine = [], backends.open_engine
    monkeypatch.setattr(backends, "open_engine", lambda path, **options: made.append(open_engine(path, **options)) or made[-1])
    pipe = Pipeline.open(tiny, threads=2)
    pipe.models.open_ahead(RECIPES["text"].components)
    pipe.models.stop_opening()
    pipe.models.stop_opening()
    pipe.close()
    assert len(made) <= 2 and all(engine._closed for engine in made)


@pytest.mark.parametrize("options", [{"threads": 1}, {"threads": 2, "memory": "low"}, {"threads": 2, "backend": "null"}])
def test_nothing_is_opened_ahead_where_it_would_cost(tiny, options):
    with Pipeline.open(tiny, **options) as pipe:
        pipe.models.open_ahead(RECIPES["text"].components)
        assert pipe.models._ahead == {}
