"""Whole runs on a simulated GPU: what stays on it, what is freed, and a GPU that vanishes."""

import threading

import numpy as np
import pytest

from meshwright.engines import DeviceArray
from meshwright.engines.errors import BackendError, DeviceLost
from meshwright.runtime import Cancelled, InputError, Pipeline, StageDone, Step
from meshwright.runtime.backends import memory_needs
from meshwright.runtime.backends import models as models_module
from meshwright.runtime.backends.memory_needs import GPU_CONTEXT
from meshwright.runtime.backends.models import Models
from meshwright.runtime.backends.selector import BackendSelector
from meshwright.runtime.files.gltf.writer import glb_bytes
from tests.engines.platforms import TENSORRT_RTX
from tests.runtime import tiny_pack
from tests.runtime.simulated_gpu import CPU, FAST, run, used


@pytest.mark.slow
@TENSORRT_RTX
def test_with_built_engines_all_of_it_runs_on_them_and_gives_the_same(built, tiny, pipe):
    with Pipeline.open(tiny, threads=1) as fast:
        events = list(fast.stream("a red chair", seed=3, **FAST))
        made = events[-1].generation
        assert set(used(fast).values()) == {"tensorrt-rtx"} and made.notices == ()
        fast.generate("a red chair", seed=3, **FAST)
        held = fast.models.backends.memory.held_bytes
        fast.generate("a red chair", seed=3, **FAST)
        assert fast.models.backends.memory.held_bytes == held
    assert not built.cuda.blocks and 2 <= built.cuda.names().count("begin capture")  # the loops of the prior and of the refiner
    usual = pipe.generate("a red chair", seed=3, **FAST)
    for name in ("vertices", "faces", "texture"):
        np.testing.assert_allclose(getattr(made.mesh, name), getattr(usual.mesh, name), rtol=1e-6, atol=1e-6)
    assert made.provenance["backend"] == "tensorrt-rtx" and made.provenance["providers"] == []
    assert set(made.provenance["engines"]) == set(tiny_pack.GRAPHS)
    assert set(made.device_memory) == set(fast.stages) and made.extras.keys() >= {"engines"}
    assert all(event.device_bytes > 0 for event in events if isinstance(event, StageDone))


@TENSORRT_RTX
def test_latents_and_planes_stay_on_the_device(built, tiny, monkeypatch):
    """What the loops draw goes into the decoders, and the planes into every query, without a copy to the host and back."""
    taken = {}

    def watch(models, kind, *, keep=(), **inputs):
        taken.setdefault(kind, inputs)
        return run_one(models, kind, keep=keep, **inputs)

    run_one = Models.run
    monkeypatch.setattr(Models, "run", watch)
    run(tiny)
    for kind, name in (("vae_decoder", "latent"), ("shap_e_params", "latent"), ("field_geometry", "planes"), ("field_color", "planes"),
                       ("shap_e_field", "weight_0")):
        assert isinstance(taken[kind][name], DeviceArray), kind
    assert isinstance(taken["reconstructor"]["views"], np.ndarray)


@TENSORRT_RTX
def test_closing_during_a_run_frees_nothing_that_the_gpu_still_writes(built, tiny):
    """The steps of a loop go on while the caller looks at one of them; the run is ended before its memory goes."""
    pipe = Pipeline.open(tiny, threads=1)
    run = pipe.stream("a red chair", prior_steps=300, **FAST)
    assert next(event for event in run if isinstance(event, Step))
    cuda = built.cuda
    pipe.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "meshwright-steps"]
    assert cuda.names()[-1] == "close" and not cuda.blocks
    with pytest.raises(Cancelled, match="the pipeline was closed meanwhile"):
        next(run)
    assert pipe.generate("a red chair", **FAST).provenance["backend"] == "tensorrt-rtx"
    pipe.close()
    assert cuda.names()[-1] == built.cuda.names()[-1] == "close"


@TENSORRT_RTX
def test_low_memory_gives_the_gpus_memory_back_between_stages(built, tiny, monkeypatch):
    monkeypatch.setattr("meshwright.runtime.backends.models.Models._is_large", lambda models, kind: True)
    with Pipeline.open(tiny, threads=1, memory="low") as low:
        for event in low.stream("a red chair", seed=3, **FAST):
            if isinstance(event, StageDone):
                assert low.models._engines == {} and low.models.backends.memory.held_bytes < 16 << 10  # a latent or the planes


@TENSORRT_RTX
def test_components_are_loaded_and_unloaded_to_stay_below_a_limit(built, tiny, monkeypatch):
    opened = []
    for module in (memory_needs, models_module):  # by the true sizes, all of this pack would fit beside the allowance for CUDA
        monkeypatch.setattr(module, "on_gpu", lambda manifest, component: (1 << 20, 1 << 20))
    open_one = BackendSelector.open

    def watched(selector, component, **options):
        engine = open_one(selector, component, **options)
        opened.append([*pipe.models._engines, component.kind])
        return engine

    monkeypatch.setattr(BackendSelector, "open", watched)
    with Pipeline.open(tiny, threads=1) as pipe:
        whole = pipe.generate("a red chair", seed=3, **FAST)
    assert len(max(opened, key=len)) == len(opened)  # nothing was closed
    opened.clear()
    with Pipeline.open(tiny, threads=1, vram=GPU_CONTEXT + (4 << 20)) as pipe:
        for _ in range(2):
            made = pipe.generate("a red chair", seed=3, **FAST)
            assert glb_bytes(made.mesh) == glb_bytes(whole.mesh) and set(used(pipe).values()) == {"tensorrt-rtx"}
            assert max(made.device_memory.values()) < 4 << 20
    assert max(map(len, opened)) == 3 < len(opened)  # three at a time, and room for one of them to run
    assert len(opened) > len({kind for kinds in opened for kind in kinds})  # some were opened again


@TENSORRT_RTX
def test_a_limit_that_nothing_fits_into_is_refused_before_work(built, tiny):
    with pytest.raises(InputError, match="does not fit into that much GPU memory; received 0.5G; expected about 0.6G at least"):
        Pipeline.open(tiny, threads=1, vram="512M")
    assert built.cuda is None
    with Pipeline.open(tiny, threads=1, vram="512M", providers=[CPU]) as pipe:  # on the processor it says nothing
        pipe.generate("a red chair", seed=3, **FAST)


@TENSORRT_RTX
def test_a_share_for_the_background(built, tiny):
    with Pipeline.open(tiny, threads=1, gpu_share="background") as pipe:
        pipe.generate("a red chair", seed=3, **FAST)
        choice = pipe.models.engine("refiner_step").block_choice
    assert built.cuda.low_priority and choice.block_ms == 8.0
    with pytest.raises(InputError, match="unknown GPU share; received 'half'; expected full, background"):
        Pipeline.open(tiny, gpu_share="half")


@TENSORRT_RTX
def test_a_gpu_that_vanishes_ends_its_run_and_the_next_one_works(built, tiny, pipe):
    with Pipeline.open(tiny, threads=1) as fast:
        for event in (stream := fast.stream("a red chair", seed=3, **FAST)):
            if isinstance(event, StageDone) and event.stage == "coarse views":
                built.cuda.refuses, built.cuda.breaks = {"execute", "launch"}, True
                break
        with pytest.raises(DeviceLost, match="the GPU stopped answering"):
            list(stream)
        made = fast.generate("a red chair", seed=3, **FAST)
        assert set(used(fast).values()) == {"tensorrt-rtx"} and made.notices == ()
    other = pipe.generate("a red chair", seed=3, **FAST)
    np.testing.assert_allclose(made.mesh.vertices, other.mesh.vertices, rtol=1e-6, atol=1e-6)


@TENSORRT_RTX
def test_a_gpu_that_stays_away_leaves_the_processor(built, tiny, monkeypatch):
    def gone(**options):
        raise BackendError("the GPU cannot be used", received="CUDA_ERROR_ILLEGAL_ADDRESS (700)")

    with Pipeline.open(tiny, threads=1) as fast:
        fast.prewarm(["text_encoder"])
        built.cuda.refuses, built.cuda.breaks = {"execute"}, True
        with pytest.raises(DeviceLost):
            fast.generate("a red chair", seed=3, **FAST)
        monkeypatch.setattr("meshwright.engines.cuda.device.Cuda", gone)
        made = fast.generate("a red chair", seed=3, **FAST)
        assert set(used(fast).values()) == {f"onnxruntime ({CPU})"}
    assert any("the GPU cannot be used" in note for note in made.notices)


@TENSORRT_RTX
def test_a_loop_that_cannot_be_captured_is_told_of(built, tiny, pipe, capfd):
    built.trt.capturable = False
    made, _ = run(tiny)
    told = [note for note in made.notices if "is launched step by step, without a CUDA graph: " in note]
    assert [note.split()[0] for note in told] == ["prior_step", "refiner_step"] and capfd.readouterr().err == ""
    usual = pipe.generate("a red chair", seed=3, **FAST)
    np.testing.assert_allclose(made.mesh.vertices, usual.mesh.vertices, rtol=1e-6, atol=1e-6)
