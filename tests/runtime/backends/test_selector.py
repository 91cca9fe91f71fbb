"""What each component runs on: on this machine, and on one with a simulated GPU."""

import shutil

import pytest

from meshwright.engines.errors import BackendUnavailable, ModelFileError
from meshwright.runtime import InputError, Notice, Pipeline
from meshwright.runtime.backends import selector as backends
from meshwright.runtime.backends.selector import BackendSelector
from meshwright.runtime.cli.build_command import build_missing
from meshwright.runtime.pack.pack import Pack
from tests.engines.platforms import TENSORRT_RTX
from tests.engines.simulated_driver import Card
from tests.runtime import tiny_pack
from tests.runtime.simulated_gpu import CPU, CUDA, FAST, SimulatedGpu, run, used


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
    with pytest.raises(BackendUnavailable, match=rf"^text_encoder does not run on onnxruntime \({CUDA}\): .*; "):
        run(tiny, providers=(CUDA, CPU))


@pytest.mark.parametrize(("options", "message"), [
    ({"backend": "abacus"}, "unknown backend; received 'abacus'; expected auto, onnxruntime, tensorrt, tensorrt-rtx, null"),
    ({"backend": "tensorrt", "providers": (CPU,)}, "providers are ONNX Runtime's; received backend tensorrt"),
])
def test_refused(tiny, options, message):
    with pytest.raises(InputError, match=message):
        Pipeline.open(tiny, **options)


@TENSORRT_RTX
def test_without_engines_the_next_best_serves_and_says_how_to_build(gpu, tiny):
    with Pipeline.open(tiny, threads=1) as pipe:
        made = pipe.generate("a red chair", seed=3, **FAST)
        assert set(used(pipe).values()) == {f"onnxruntime ({CPU})"}
        how, cuda = made.notices
        assert how == (f"text_encoder does not run on tensorrt-rtx: no engine is built for it; for this and similar components: "
                       f"meshwright build {tiny} --backend tensorrt-rtx")
        assert cuda.startswith(f"onnxruntime ({CUDA}) does not work here: this build of ONNX Runtime lacks the provider {CUDA}")
        assert pipe.generate("a red chair", seed=4, **FAST).notices == () and gpu.cuda is not None


@TENSORRT_RTX
def test_a_backend_that_is_named_runs_everything_or_says_what_it_lacks(gpu, tiny, tmp_path):
    with pytest.raises(BackendUnavailable) as caught:
        run(tiny, backend="tensorrt-rtx")
    assert str(caught.value) == (f"text_encoder does not run on tensorrt-rtx: no engine is built for it; meshwright build {tiny} "
                                 "--backend tensorrt-rtx, or use backend auto, which takes the best that works")
    gpu.spoil["vae_decoder"] = tiny / "vae_encoder.onnx"  # whose tensors are others
    build_missing(Pack.open(tiny), "tensorrt-rtx", quiet=True)
    with pytest.raises(ModelFileError, match="^vae_decoder does not run on tensorrt-rtx: .* was built from another model"):
        run(tiny, backend="tensorrt-rtx")


@TENSORRT_RTX
def test_a_card_that_the_product_does_not_list_is_left_out_unless_asked_for(monkeypatch, tmp_path, tiny, capsys):
    gpu = SimulatedGpu(monkeypatch, tmp_path / "cache", Card("NVIDIA H200", (9, 0)))
    build_missing(Pack.open(tiny), "auto", quiet=False)
    assert gpu.built == [] and "compute capability 9.0 is not among those it lists" in capsys.readouterr().err
    build_missing(Pack.open(tiny), "tensorrt-rtx", quiet=True)
    assert len(gpu.built) == len(tiny_pack.GRAPHS)
    _, used = run(tiny)
    assert set(used.values()) == {f"onnxruntime ({CPU})"}
    _, used = run(tiny, backend="tensorrt-rtx")
    assert set(used.values()) == {"tensorrt-rtx"}


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
        opened[path.stem] = memory
        assert providers == [(CUDA, {"use_tf32": "0"}), CPU]  # the pack's tolerances leave no room for it
        return open_engine(path, providers=(CPU,), **options)

    monkeypatch.setattr(backends, "open_engine", watch)
    with Pipeline.open(tiny, threads=1, backend=backend) as pipe:
        made = pipe.generate("a red chair", seed=3, **FAST)
        assert set(opened.values()) == {pipe.models.backends.memory} and gpu.cuda is not None
        assert set(used(pipe).values()) == {f"onnxruntime ({CUDA})"} and made.provenance["providers"] == [CUDA, CPU]
        assert [note[:12] for note in made.notices] == (["text_encoder"] if backend == "auto" else [])


def test_a_pack_in_a_folder_whose_name_has_a_space(tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "my packs")
    assert BackendSelector(Pack.open(folder)).build_command_for("tensorrt") == f'meshwright build "{folder}" --backend tensorrt'
