"""What each component runs on: on this machine, and on one with a simulated GPU."""

import json
import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest

from meshwright.engines import DeviceArray
from meshwright.engines.cache.cache import EngineCache
from meshwright.engines.cache.shipped import ship
from meshwright.engines.errors import BackendError, BackendUnavailable, DeviceLost, EngineError, ModelFileError, OutputError
from meshwright.engines.files import side_file
from meshwright.engines.files.trust import EXPORTED, FOLDERS, trust
from meshwright.engines.tensorrt import loader as engine_loader
from meshwright.runtime import Cancelled, InputError, Notice, Pipeline, StageDone, Step
from meshwright.runtime.backends import memory_needs
from meshwright.runtime.backends import models as models_module
from meshwright.runtime.backends import selector as backends
from meshwright.runtime.backends.memory_needs import GPU_CONTEXT
from meshwright.runtime.backends.selector import BackendSelector
from meshwright.runtime.cli.build_command import build_missing
from meshwright.runtime.files.gltf.writer import glb_bytes
from meshwright.runtime.pack.pack import Pack
from tests.engines.platforms import TENSORRT_RTX
from tests.engines.pretend_driver import Card
from tests.runtime import tiny_pack
from tests.runtime.simulated_gpu import SimulatedGpu

FAST = {"texture": 64, "faces": 500, "texture_from": "blend"}
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


@pytest.fixture
def gpu(monkeypatch, tmp_path):
    return SimulatedGpu(monkeypatch, tmp_path / "cache")


@pytest.fixture(scope="module")
def engines(tiny, tmp_path_factory):
    """A cache with an engine for every component of the tiny pack, each checked."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("built")
        gpu = SimulatedGpu(patch, folder)
        build_missing(Pack.open(tiny), "auto", quiet=True)
    assert gpu.built == list(tiny_pack.GRAPHS)
    return folder


@pytest.fixture
def built(engines, gpu, tmp_path):
    """The same with those engines."""
    shutil.copytree(engines, tmp_path / "cache")
    return gpu


def used(pipe):
    return {name: str(candidate) for name, candidate in pipe.models.backends.used.items()}


def test_without_a_gpu_everything_runs_on_the_processor(pipe):
    made = pipe.generate("a red chair", seed=3, **FAST)
    assert set(used(pipe).values()) == {f"onnxruntime ({CPU})"} and made.notices == ()
    assert made.provenance["backend"] == "onnxruntime" and made.provenance["providers"] == [CPU]
    assert "engines" not in made.provenance and made.device_memory == {}


@pytest.mark.parametrize("backend", ["tensorrt", "tensorrt-rtx"])
def test_a_backend_that_is_named_and_is_not_here_is_an_error(tiny, backend):
    with Pipeline.open(tiny, threads=1, backend=backend) as named:
        with pytest.raises(BackendUnavailable) as caught:
            named.generate("a red chair", seed=3, **FAST)
        assert str(caught.value).startswith(f"text_encoder does not run on {backend}: {backend} ")
        assert caught.value.remedy == "use backend auto, which takes the best that works" and named.models.backends.used == {}


def test_a_provider_that_is_named_and_is_not_here_is_an_error(tiny):
    with Pipeline.open(tiny, threads=1, providers=(CUDA, CPU)) as named:
        with pytest.raises(BackendUnavailable, match=rf"^text_encoder does not run on onnxruntime \({CUDA}\): .*; "):
            named.generate("a red chair", seed=3, **FAST)


@pytest.mark.parametrize(("options", "message"), [
    ({"backend": "abacus"}, "the backend is unknown; received 'abacus'; expected auto, onnxruntime, tensorrt, tensorrt-rtx, null"),
    ({"backend": "tensorrt", "providers": (CPU,)}, "providers are ONNX Runtime's; received backend tensorrt"),
])
def test_refused(tiny, options, message):
    with pytest.raises(InputError, match=message):
        Pipeline.open(tiny, **options)


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
        return run(models, kind, keep=keep, **inputs)

    from meshwright.runtime.backends.models import Models
    run = Models.run
    monkeypatch.setattr(Models, "run", watch)
    with Pipeline.open(tiny, threads=1) as fast:
        fast.generate("a red chair", seed=3, **FAST)
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
    with pytest.raises(InputError, match="does not fit into so much of the GPU's memory; received 0.5G; expected about 0.6G at least"):
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
    with pytest.raises(InputError, match="the share of the GPU is unknown; received 'half'; expected full, background"):
        Pipeline.open(tiny, gpu_share="half")


@TENSORRT_RTX
def test_without_engines_the_next_best_serves_and_says_how_to_build(gpu, tiny):
    with Pipeline.open(tiny, threads=1) as pipe:
        made = pipe.generate("a red chair", seed=3, **FAST)
        assert set(used(pipe).values()) == {f"onnxruntime ({CPU})"}
        how, cuda = made.notices
        assert how == (f"text_encoder does not run on tensorrt-rtx: no engine is built for it; for this and others like it: "
                       f"meshwright build {tiny} --backend tensorrt-rtx")
        assert cuda.startswith(f"onnxruntime ({CUDA}) does not work here: this build of ONNX Runtime lacks the provider {CUDA}")
        assert pipe.generate("a red chair", seed=4, **FAST).notices == () and gpu.cuda is not None


@pytest.mark.slow
@TENSORRT_RTX
def test_an_engine_that_is_off_is_not_used_and_stays_marked(gpu, tiny, capsys):
    """Its plan computes what another model of the same shapes does. The next process finds the mark, and does not try it."""
    gpu.spoil["shap_e_params"] = wrong(tiny, gpu)
    build_missing(Pack.open(tiny), "auto", quiet=True)
    said = capsys.readouterr().err
    differ = "its results differ from the golden outputs by more than the tolerance"
    assert f"shap_e_params is not used on tensorrt-rtx: {differ}: relative error " in said
    for _ in range(2):
        with Pipeline.open(tiny, threads=1) as pipe:
            made = pipe.generate("a red chair", seed=3, **FAST)
            assert used(pipe)["shap_e_params"] == f"onnxruntime ({CPU})" and used(pipe)["refiner_step"] == "tensorrt-rtx"
            assert any(note.startswith("shap_e_params does not run on tensorrt-rtx: its results differ") for note in made.notices)
            assert made.provenance["backend"] == "onnxruntime and tensorrt-rtx"


@TENSORRT_RTX
def test_an_engine_that_nobody_has_checked_is_checked_when_it_is_first_used(gpu, tiny, tmp_path):
    gpu.spoil["shap_e_params"] = wrong(tiny, gpu)
    build_missing(Pack.open(tiny), "auto", quiet=True)
    for golden_result in (tmp_path / "cache/engines").glob("*.record"):
        golden_result.unlink()
    with Pipeline.open(tiny, threads=1) as pipe:
        made = pipe.generate("a red chair", seed=3, **FAST)
        assert used(pipe)["shap_e_params"] == f"onnxruntime ({CPU})" and used(pipe)["refiner_step"] == "tensorrt-rtx"
        assert sum("its results differ from the golden outputs" in note for note in made.notices) == 1
        assert len(list((tmp_path / "cache/engines").glob("*.record"))) == len(used(pipe))


@TENSORRT_RTX
@pytest.mark.parametrize(("damage", "reason"), [
    (lambda path: path.write_bytes(path.read_bytes()[:-3]), "is truncated; received"),
    (lambda path: path.write_bytes(path.read_bytes()[:-3] + b"abc"), "was altered"),
    (lambda path: path.write_bytes(b"\0" * 5000), "is no engine of this release"),
])
def test_damaged_engines_are_told_of_and_harm_nothing(built, tiny, tmp_path, damage, reason):
    (engine,) = (tmp_path / "cache/engines").glob("tiny-vae_decoder-*.engine")
    damage(engine)
    with Pipeline.open(tiny, threads=1) as pipe:
        made = pipe.generate("a red chair", seed=3, **FAST)
        assert used(pipe)["vae_decoder"] == f"onnxruntime ({CPU})" and used(pipe)["refiner_step"] == "tensorrt-rtx"
    assert any("vae_decoder does not run on tensorrt-rtx" in note and reason in note for note in made.notices)
    build_missing(Pack.open(tiny), "tensorrt-rtx", quiet=True)
    assert built.built == ["vae_decoder"]


@TENSORRT_RTX
def test_engines_are_used_on_another_card_once_they_have_passed_there(built, tiny, monkeypatch, tmp_path):
    """They are portable. What the golden inputs gave on one card says nothing of another."""
    other = SimulatedGpu(monkeypatch, tmp_path / "cache", Card("Another GPU", (12, 0)))
    with Pipeline.open(tiny, threads=1) as pipe:
        made = pipe.generate("a red chair", seed=3, **FAST)
        assert set(used(pipe).values()) == {"tensorrt-rtx"} and made.notices == () and other.built == []
    (record,) = (tmp_path / "cache/engines").glob("tiny-vae_decoder-*.record")
    cards = json.loads(record.read_text())["cards"]
    assert set(cards) == {"Pretend GPU, compute capability 8.9", "Another GPU, compute capability 12.0"}
    assert all(measured["golden"]["relative"] <= measured["golden"]["tolerance"] for measured in cards.values())


@TENSORRT_RTX
def test_an_engine_that_the_product_calls_invalid_is_not_used(built, tiny, monkeypatch, tmp_path):
    SimulatedGpu(monkeypatch, tmp_path / "cache", Card("A Turing GPU", (7, 5)))
    with Pipeline.open(tiny, threads=1) as pipe:
        made = pipe.generate("a red chair", seed=3, **FAST)
        assert set(used(pipe).values()) == {f"onnxruntime ({CPU})"}
    note = next(note for note in made.notices if note.startswith("text_encoder "))
    assert "does not run on tensorrt-rtx: " in note and "(it is not built for this GPU's compute capability)" in note
    with Pipeline.open(tiny, threads=1, backend="tensorrt-rtx") as named:
        with pytest.raises(ModelFileError, match="^text_encoder does not run on tensorrt-rtx: .*it is built again by: meshwright build"):
            named.generate("a red chair", seed=3, **FAST)
    turing = SimulatedGpu(monkeypatch, tmp_path / "cache", Card("A Turing GPU", (7, 5)))
    build_missing(Pack.open(tiny), "auto", quiet=True)
    assert len(turing.built) == len(tiny_pack.GRAPHS)
    with Pipeline.open(tiny, threads=1, backend="tensorrt-rtx") as named:
        assert named.generate("a red chair", seed=3, **FAST).notices == ()


@TENSORRT_RTX
def test_an_old_driver_is_the_reason_where_it_is(built, tiny):
    built.trt.invalid = 4  # OLD_CUDA_DRIVER
    with Pipeline.open(tiny, threads=1, backend="tensorrt-rtx") as named:
        with pytest.raises(BackendUnavailable, match="text_encoder does not run .*the NVIDIA driver is too old.*install NVIDIA's driver"):
            named.generate("a red chair", seed=3, **FAST)


@TENSORRT_RTX
def test_a_backend_that_is_named_runs_everything_or_says_what_it_lacks(gpu, tiny, tmp_path):
    with Pipeline.open(tiny, threads=1, backend="tensorrt-rtx") as named:
        with pytest.raises(BackendUnavailable) as caught:
            named.generate("a red chair", seed=3, **FAST)
    assert str(caught.value) == (f"text_encoder does not run on tensorrt-rtx: no engine is built for it; meshwright build {tiny} "
                                 "--backend tensorrt-rtx, or use backend auto, which takes the best that works")
    gpu.spoil["vae_decoder"] = tiny / "vae_encoder.onnx"  # whose tensors are others
    build_missing(Pack.open(tiny), "tensorrt-rtx", quiet=True)
    with Pipeline.open(tiny, threads=1, backend="tensorrt-rtx") as named:
        with pytest.raises(ModelFileError, match="^vae_decoder does not run on tensorrt-rtx: .* was built from another model"):
            named.generate("a red chair", seed=3, **FAST)


@pytest.fixture
def shipping(engines, tiny, tmp_path, monkeypatch):
    """A copy of the pack with its engines in it, on a machine whose cache is empty."""
    shutil.copytree(engines, tmp_path / "maker")
    pack = shutil.copytree(tiny, tmp_path / "tiny")
    entries = [entry for entry in EngineCache(tmp_path / "maker/engines").entries()]
    ship(pack, entries)
    monkeypatch.delenv(FOLDERS)
    return pack, SimulatedGpu(monkeypatch, tmp_path / "cache")


@TENSORRT_RTX
def test_engines_that_a_pack_ships_are_used_where_they_are_trusted(shipping, tmp_path):
    pack, gpu = shipping
    files = {path: path.read_bytes() for path in pack.rglob("*") if path.is_file()}
    with Pipeline.open(pack, threads=1, trust=True) as pipe:
        made = pipe.generate("a red chair", seed=3, **FAST)
        assert set(used(pipe).values()) == {"tensorrt-rtx"} and made.notices == () and gpu.built == []
    assert {path: path.read_bytes() for path in pack.rglob("*") if path.is_file()} == files
    assert not list((tmp_path / "cache/engines").glob("*.engine"))
    assert len(list((tmp_path / "cache/engines/of_packs").glob("*.record"))) == len(tiny_pack.GRAPHS)
    trust(pack, Pack.open(pack).hash, EXPORTED)
    with Pipeline.open(pack, threads=1) as pipe:  # the pack is trusted, by its hash; engines that somebody has added are not
        notices = pipe.generate("a red chair", seed=3, **FAST).notices
        assert set(used(pipe).values()) == {f"onnxruntime ({CPU})"}
    assert "the engines in the pack's folder are programs of someone else" in notices[0] and f"meshwright packs trust {pack}" in notices[0]


@TENSORRT_RTX
def test_a_build_leaves_engines_of_the_pack_alone_and_builds_those_that_do_not_load(shipping, monkeypatch):
    pack, gpu = shipping
    files = {path: path.read_bytes() for path in pack.rglob("*") if path.is_file()}
    trusted_by_caller = replace(Pack.open(pack), trusted_by_caller=True)
    with monkeypatch.context() as patch:
        patch.setattr("tests.engines.simulated_tensorrt.MAGIC", b"another plan")
        build_missing(trusted_by_caller, "auto", quiet=True)
    assert gpu.built == list(tiny_pack.GRAPHS)
    assert {path: path.read_bytes() for path in pack.rglob("*") if path.is_file()} == files


@TENSORRT_RTX
def test_trusting_a_pack_by_name_trusts_its_engines(shipping, main):
    pack, _ = shipping
    assert main("packs", "trust", pack).returncode == 0
    opened = Pack.open(pack)
    assert opened.engines_untrusted is None
    (pack / "engines/engines.json").write_text((pack / "engines/engines.json").read_text() + " ")
    assert Pack.open(pack).engines_untrusted is not None
    main("packs", "distrust", pack)


@TENSORRT_RTX
def test_an_engine_of_a_pack_that_was_altered_gives_way_to_one_of_the_cache(shipping, engines, tmp_path):
    pack, _ = shipping
    (engine,) = (pack / "engines").glob("tiny-vae_decoder-*.engine")
    engine.write_bytes(engine.read_bytes()[:-1] + b"?")
    with Pipeline.open(pack, threads=1, trust=True) as pipe:
        notices = pipe.generate("a red chair", seed=3, **FAST).notices
        assert used(pipe)["vae_decoder"] == f"onnxruntime ({CPU})" and used(pipe)["refiner_step"] == "tensorrt-rtx"
    assert any("of the pack was altered" in note for note in notices)
    shutil.copytree(engines / "engines", tmp_path / "cache/engines", dirs_exist_ok=True)
    with Pipeline.open(pack, threads=1, trust=True) as pipe:
        assert pipe.generate("a red chair", seed=3, **FAST).notices == () and set(used(pipe).values()) == {"tensorrt-rtx"}


@TENSORRT_RTX
def test_a_foreign_engine_in_a_file_of_ours(built, tiny, monkeypatch, capsys):
    """TensorRT itself refuses it: another build of the library, say. It is built again when engines are built."""
    monkeypatch.setattr("tests.engines.simulated_tensorrt.MAGIC", b"another plan")
    with Pipeline.open(tiny, threads=1) as pipe:
        made = pipe.generate("a red chair", seed=3, **FAST)
        assert set(used(pipe).values()) == {f"onnxruntime ({CPU})"}
    assert any("text_encoder does not run on tensorrt-rtx: " in note and "does not load on this machine" in note for note in made.notices)
    build_missing(Pack.open(tiny), "auto", quiet=False)
    assert set(built.built) == set(used(pipe)) and "text_encoder-" in capsys.readouterr().err
    with Pipeline.open(tiny, threads=1) as pipe:
        assert pipe.generate("a red chair", seed=3, **FAST).provenance["backend"] == "tensorrt-rtx"


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
def test_a_card_that_the_product_does_not_list_is_left_out_unless_asked_for(monkeypatch, tmp_path, tiny, capsys):
    gpu = SimulatedGpu(monkeypatch, tmp_path / "cache", Card("NVIDIA H200", (9, 0)))
    build_missing(Pack.open(tiny), "auto", quiet=False)
    assert gpu.built == [] and "compute capability 9.0 is not among those it lists" in capsys.readouterr().err
    build_missing(Pack.open(tiny), "tensorrt-rtx", quiet=True)
    assert len(gpu.built) == len(tiny_pack.GRAPHS)
    with Pipeline.open(tiny, threads=1) as pipe:
        pipe.generate("a red chair", seed=3, **FAST)
        assert set(used(pipe).values()) == {f"onnxruntime ({CPU})"}
    with Pipeline.open(tiny, threads=1, backend="tensorrt-rtx") as pipe:
        pipe.generate("a red chair", seed=3, **FAST)
        assert set(used(pipe).values()) == {"tensorrt-rtx"}


@TENSORRT_RTX
def test_onnxruntime_alone_leaves_tensorrt_out(built, tiny):
    with Pipeline.open(tiny, threads=1, backend="onnxruntime", providers=(CPU,)) as pipe:
        events = list(pipe.stream("a red chair", seed=3, **FAST))
        assert set(used(pipe).values()) == {f"onnxruntime ({CPU})"}
        assert not any(isinstance(event, Notice) for event in events)


@TENSORRT_RTX
@pytest.mark.parametrize("backend", ["auto", "onnxruntime"])
def test_the_cuda_provider_runs_what_has_no_engine(gpu, tiny, monkeypatch, backend):
    """The provider itself is not here: the processor takes its place once the way is chosen."""
    open_engine, opened = backends.open_engine, {}

    def watch(path, *, providers, memory, **options):
        opened[path.stem] = (providers, memory)
        return open_engine(path, providers=(CPU,), **options)

    monkeypatch.setattr(backends, "open_engine", watch)
    with Pipeline.open(tiny, threads=1, backend=backend) as pipe:
        made = pipe.generate("a red chair", seed=3, **FAST)
        assert set(opened.values()) == {((CUDA, CPU), pipe.models.backends.memory)} and gpu.cuda is not None
        assert set(used(pipe).values()) == {f"onnxruntime ({CUDA})"} and made.provenance["providers"] == [CUDA, CPU]
        assert [note[:12] for note in made.notices] == (["text_encoder"] if backend == "auto" else [])


@TENSORRT_RTX
def test_a_loop_that_cannot_be_captured_is_told_of(built, tiny, pipe, capfd):
    built.trt.capturable = False
    with Pipeline.open(tiny, threads=1) as fast:
        made = fast.generate("a red chair", seed=3, **FAST)
    told = [note for note in made.notices if "is launched step by step, without a CUDA graph: " in note]
    assert [note.split()[0] for note in told] == ["prior_step", "refiner_step"] and capfd.readouterr().err == ""
    usual = pipe.generate("a red chair", seed=3, **FAST)
    np.testing.assert_allclose(made.mesh.vertices, usual.mesh.vertices, rtol=1e-6, atol=1e-6)


@TENSORRT_RTX
def test_a_cache_that_can_only_be_read_serves_and_is_asked_again(built, tiny, monkeypatch, tmp_path):
    """Its engines are checked by each process anew, and a golden result that cannot be kept is no error."""
    for golden_result in (tmp_path / "cache/engines").glob("*.record"):
        golden_result.unlink()

    def refuse(*arguments):
        raise PermissionError("read-only")

    monkeypatch.setattr(side_file, "replace", refuse)
    with Pipeline.open(tiny, threads=1) as pipe:
        pipe.generate("a red chair", seed=3, **FAST)
        assert set(used(pipe).values()) == {"tensorrt-rtx"}
    assert list((tmp_path / "cache/engines").glob("*.record")) == []


@TENSORRT_RTX
def test_generate_builds_what_is_missing_when_asked(main, gpu, tmp_path):
    ended = main("generate", "a red chair", "--pack", "tiny", "--build", "-o", tmp_path / "a.glb", "--texture", 64, "--faces", 500,
                 "--threads", 1, "--json")
    assert ended.returncode == 0, ended.stderr
    assert gpu.built == list(tiny_pack.GRAPHS) and "tiny: 11 of 11 engines built for tensorrt-rtx 1.7" in ended.stderr
    assert "relative error" in ended.stderr
    told = json.loads(ended.stdout)
    assert told["backend"] == "tensorrt-rtx" and min(told["device_memory"].values()) > 0
    checked = main("verify", "tiny", "--threads", 1)
    assert checked.returncode == 0 and checked.stdout.count("  on tensorrt-rtx  ok") == len(tiny_pack.GRAPHS)


@TENSORRT_RTX
def test_a_gpu_that_vanishes_in_a_check_leaves_the_other_engines(main, gpu, tiny, tmp_path, monkeypatch):
    def start():
        cuda = gpu._start()
        cuda.refuses, cuda.breaks = {"execute"}, True
        return cuda

    monkeypatch.setattr("meshwright.engines.cuda.device.Cuda", start)
    ended = main("build", "tiny", "--backend", "tensorrt-rtx")
    assert ended.returncode == 1 and gpu.built == list(tiny_pack.GRAPHS)
    assert "10 of 11 engines built" in ended.stdout and ended.stderr.count("meshwright: the GPU stopped answering") == 1
    assert not list((tmp_path / "cache/engines").glob("*.record"))


@TENSORRT_RTX
def test_what_failed_is_told_of_though_the_disk_fills_up_later(main, gpu, monkeypatch):
    def refuse(order, out, on_progress, lock):
        if order.model.stem == "text_encoder":
            raise EngineError("the range of an open axis")
        raise OutputError(f"{out} cannot be written", received="No space left on device")

    monkeypatch.setattr(engine_loader, "build_to", refuse)
    ended = main("build", "tiny", "--backend", "tensorrt-rtx")
    assert ended.returncode == 2 and "meshwright: the range of an open axis\nmeshwright: " in ended.stderr


@TENSORRT_RTX
def test_a_cache_that_cannot_be_written_keeps_no_mesh_from_being_made(main, gpu, tmp_path, monkeypatch):
    monkeypatch.setenv("MESHWRIGHT_CACHE", "/proc/nowhere")
    ended = main("generate", "a red chair", "--pack", "tiny", "--build", "-o", tmp_path / "a.glb", "--texture", 64, "--faces", 500,
                 "--threads", 1)
    assert ended.returncode == 0 and (tmp_path / "a.glb").is_file()
    assert ended.stderr.startswith("note: engines are missing: the engine cache /proc/nowhere/engines cannot be written; received ")


def test_a_pack_in_a_folder_whose_name_has_a_space(tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "my packs")
    assert BackendSelector(Pack.open(folder)).build_command_for("tensorrt") == f'meshwright build "{folder}" --backend tensorrt'


def test_build_where_nothing_can_be_built(main, tmp_path):
    run = ("generate", "a red chair", "--pack", "tiny", "--build", "-o", tmp_path / "a.glb", "--texture", 64, "--threads", 1)
    ended = main(*run)
    assert ended.returncode == 0 and ended.stderr.startswith("note: no engines are built: ") and (tmp_path / "a.glb").is_file()
    refused = main(*run, "--backend", "onnxruntime")
    assert refused.returncode == 2 and "--build builds engines for TensorRT; received backend onnxruntime" in refused.stderr


def wrong(tiny, gpu):
    """A model with the tensors of `shap_e_params` and other numbers."""
    import onnx

    text = tiny_pack.PARAMS.replace("(latent) }", "(doubled) }").replace("{ weight_0", "{ doubled = Add(latent, latent) weight_0")
    model = onnx.parser.parse_model(f'<ir_version: 11, opset_import: ["" : 23]> {text}')
    path = tiny.parent / "wrong.onnx"
    onnx.save(model, path)
    return path
