"""LoRAs where TensorRT draws the views, on a simulated GPU: refitted or built anew, checked against the processor."""

import shutil
import threading
import time

import numpy as np
import onnx
import pytest

from meshwright.engines.cache.cache import EngineCache
from meshwright.engines.tensorrt import loader as engine_loader
from meshwright.runtime import Cancelled, EngineBuild, Pipeline
from meshwright.runtime.backends.pack_engines import MAX_WITH_OTHER_WEIGHTS
from meshwright.runtime.cli.build_command import build_missing
from meshwright.runtime.cli.main import main
from meshwright.runtime.pack.pack import Pack
from tests.engines.platforms import TENSORRT_RTX
from tests.runtime.lora import mixing_pack
from tests.runtime.simulated_gpu import SimulatedGpu

pytestmark = [TENSORRT_RTX, pytest.mark.slow]
FAST = {"texture": 64, "faces": 500}
WITH = "one with the new weights is built, or taken from the cache"


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    return mixing_pack.build(tmp_path_factory.mktemp("packs") / "mixing")


@pytest.fixture(scope="module")
def engines(pack, tmp_path_factory):
    """A cache with an engine for every component, each checked."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("built")
        SimulatedGpu(patch, folder)
        build_missing(Pack.open(pack), "auto", quiet=True)
    return folder


@pytest.fixture(scope="module")
def lora(tmp_path_factory):
    return mixing_pack.swap(tmp_path_factory.mktemp("lora") / "swap.safetensors")


@pytest.fixture(scope="module")
def expected(pack, lora):
    """The views without and with the LoRA, on the processor."""
    with Pipeline.open(pack, threads=1) as pipe:
        plain = made(pipe).stages.views
        pipe.load_lora(lora)
        return plain, made(pipe).stages.views


@pytest.fixture
def gpu(expected, engines, monkeypatch, tmp_path):
    shutil.copytree(engines, tmp_path / "cache")
    return SimulatedGpu(monkeypatch, tmp_path / "cache")


def made(pipe):
    return pipe.generate("a red chair", seed=3, **FAST)


def candidate(pipe):
    return str(pipe.models.backends.used["refiner_step"])


def check(pipe, lora, expected):
    """Load, draw, unload, draw; the notes of the first run."""
    plain, changed = expected
    pipe.load_lora(lora)
    first = made(pipe)
    np.testing.assert_allclose(first.stages.views, changed, atol=1e-5)
    pipe.unload_lora()
    last = made(pipe)
    np.testing.assert_allclose(last.stages.views, plain, atol=1e-5)
    assert candidate(pipe) == "tensorrt-rtx" and "lora" not in last.provenance
    return first


def test_an_engine_that_cannot_be_refitted_is_built_anew_and_kept(gpu, pack, lora, expected):
    with Pipeline.open(pack, threads=1) as pipe:
        first = check(pipe, lora, expected)
        assert first.provenance["backend"] == "tensorrt-rtx"
        (entry,) = (entry for entry in EngineCache().entries() if entry.name.endswith("with other weights"))
        assert first.provenance["engines"]["refiner_step"]["sha256"] == entry.sha256
        assert made(pipe).provenance["engines"]["refiner_step"]["sha256"] != entry.sha256
        assert [note for note in first.notices if WITH in note] == [
            f"the engine of refiner_step on tensorrt-rtx cannot be refitted; {WITH}"]
    assert gpu.built == ["refiner_step"]
    with Pipeline.open(pack, threads=1) as pipe:
        check(pipe, lora, expected)
    assert gpu.built == ["refiner_step"]


def test_another_scale_is_another_engine(gpu, pack, lora):
    with Pipeline.open(pack, threads=1) as pipe:
        for scale in (0.5, 0.25, 0.5):
            pipe.unload_lora()
            pipe.load_lora(lora, scale)
    assert gpu.built == ["refiner_step", "refiner_step"]


def test_a_build_is_told_of_and_may_be_cancelled(gpu, pack, lora):
    """A large network takes minutes: the caller sees how far it is, and may end it; all is as before then."""
    def stop(event):
        told.append(event)
        raise Cancelled("enough")

    told = []
    with Pipeline.open(pack, threads=1) as pipe:
        plain = made(pipe).stages.views
        with pytest.raises(Cancelled, match="enough"):
            pipe.load_lora(lora, on_event=stop)
        assert told == [EngineBuild("refiner_step", 0.5)] and with_other_weights() == []
        assert not [file.name for file in EngineCache().folder.iterdir() if file.name.endswith(".part")]
        np.testing.assert_array_equal(made(pipe).stages.views, plain)
        pipe.load_lora(lora, on_event=told.append)
    assert told[1:] == [EngineBuild("refiner_step", 0.5)] and len(with_other_weights()) == 1


def test_closing_the_pipeline_ends_a_build(gpu, pack, lora):
    with Pipeline.open(pack, threads=1) as pipe:
        def build(order, out, on_progress, lock):
            while True:  # as long as nobody raises
                on_progress(0.0)
                time.sleep(0.01)

        closer = threading.Thread(target=pipe.close)
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Cancelled, match="closed meanwhile"):
            patch.setattr(engine_loader, "build_to", build)
            pipe.load_lora(lora, on_event=lambda event: None if closer.is_alive() else closer.start())
        closer.join(30)
        assert with_other_weights() == [] and made(pipe).provenance["backend"] == "tensorrt-rtx"


def test_the_last_engines_with_other_weights_are_kept_alone(gpu, pack, lora):
    """Each is as large as its network: full-size ones would fill a disk."""
    with Pipeline.open(pack, threads=1) as pipe:
        for scale in (0.1, 0.2, 0.3, 0.4, 0.1, 0.5):
            pipe.unload_lora()
            pipe.load_lora(lora, scale)
        assert len(gpu.built) == 5 and len(with_other_weights()) == MAX_WITH_OTHER_WEIGHTS == 4
        for scale, builds in ((0.1, 5), (0.3, 5), (0.2, 6)):  # 0.2 was not used for longest
            pipe.unload_lora()
            pipe.load_lora(lora, scale)
            assert len(gpu.built) == builds


def with_other_weights():
    return [entry for entry in EngineCache().entries() if entry.name.endswith("with other weights")]


def test_an_engine_that_was_built_for_it_is_refitted(gpu, pack, lora, expected):
    gpu.trt.refittable = True
    with Pipeline.open(pack, threads=1) as pipe:
        first = check(pipe, lora, expected)
    assert gpu.built == [] and gpu.trt.refitted == [{mixing_pack.NAME}] and first.notices == ()


def test_a_refitted_engine_that_is_off_is_built_anew(gpu, pack, lora, expected):
    gpu.trt.refittable, gpu.trt.refit_slip = True, 0.1
    with Pipeline.open(pack, threads=1) as pipe:
        first = check(pipe, lora, expected)
    assert gpu.built == ["refiner_step"] and "differs from the CPU's results; received relative error" in " ".join(first.notices)


def test_an_engine_that_is_off_with_the_lora_leaves_it_to_the_processor(gpu, pack, lora, expected, tmp_path):
    """What is built anew is another network; without the LoRA, the old engine serves again."""
    gpu.spoil["refiner_step"] = other_network(pack, tmp_path)
    with Pipeline.open(pack, threads=1) as pipe:
        first = check(pipe, lora, expected)
    assert first.provenance["backend"] == "onnxruntime and tensorrt-rtx"
    why = "refiner_step does not run on tensorrt-rtx: refiner_step with other weights differs from the CPU's results"
    assert any(note.startswith(why) for note in first.notices)


def other_network(pack, tmp_path):
    model = onnx.load(pack / "refiner_step.onnx")
    next(node for node in model.graph.node if node.op_type == "Sin").op_type = "Cos"
    onnx.save(model, tmp_path / "refiner_step.onnx")
    return tmp_path / "refiner_step.onnx"


def test_engines_built_for_loras_are_refitted(gpu, pack, lora, expected, tmp_path):
    """`meshwright build --refit` builds the UNet once more; without a LoRA the engine that was there still serves."""
    assert main(["build", str(pack), "--refit", "--quiet"]) == 0
    assert gpu.built == ["refiner_step"]
    flags = [entry.key.flags for entry in EngineCache().entries() if entry.name == "tiny/refiner_step"]
    assert sorted(map(set, flags), key=len) == [{"REQUIRE_USER_ALLOCATION", "NO_TF32"}, {"REQUIRE_USER_ALLOCATION", "NO_TF32", "REFIT"}]
    gpu.trt.refittable = True
    with Pipeline.open(pack, threads=1) as pipe:
        check(pipe, lora, expected)
    assert gpu.built == ["refiner_step"] and len(gpu.trt.refitted) == 1
    assert main(["build", "--prune"]) == 0
    assert len(list(EngineCache().entries())) == len(list((tmp_path / "cache/engines").glob("*.engine")))


def test_an_engine_for_loras_alone_serves_without_one(gpu, pack, tmp_path):
    for file in (tmp_path / "cache").rglob("*.*"):
        if file.is_file():
            file.unlink()
    assert main(["build", str(pack), "--refit", "--quiet"]) == 0
    with Pipeline.open(pack, threads=1) as pipe:
        made(pipe)
        assert candidate(pipe) == "tensorrt-rtx"


def test_without_a_gpu_there_is_nothing_to_refit(pack, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MESHWRIGHT_CACHE", str(tmp_path / "cache"))
    assert main(["build", str(pack), "--refit"]) == 2
    assert "--refit builds on a GPU only; received" in capsys.readouterr().err
    assert not (tmp_path / "cache" / "engines").exists()
