"""Engines that are damaged, foreign, wrong, or built for another card: what is used in their place, and what is said."""

import json

import pytest

from meshwright.engines.errors import BackendUnavailable, ModelFileError
from meshwright.engines.files import side_file
from meshwright.runtime.cli.build_command import build_missing
from meshwright.runtime.pack.pack import Pack
from tests.engines.platforms import TENSORRT_RTX
from tests.engines.simulated_driver import Card
from tests.runtime import tiny_pack
from tests.runtime.simulated_gpu import CPU, SimulatedGpu, run


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
        made, used = run(tiny)
        assert used["shap_e_params"] == f"onnxruntime ({CPU})" and used["refiner_step"] == "tensorrt-rtx"
        assert any(note.startswith("shap_e_params does not run on tensorrt-rtx: its results differ") for note in made.notices)
        assert made.provenance["backend"] == "onnxruntime and tensorrt-rtx"


@TENSORRT_RTX
def test_an_engine_that_nobody_has_checked_is_checked_when_it_is_first_used(gpu, tiny, tmp_path):
    gpu.spoil["shap_e_params"] = wrong(tiny, gpu)
    build_missing(Pack.open(tiny), "auto", quiet=True)
    for golden_result in (tmp_path / "cache/engines").glob("*.record"):
        golden_result.unlink()
    made, used = run(tiny)
    assert used["shap_e_params"] == f"onnxruntime ({CPU})" and used["refiner_step"] == "tensorrt-rtx"
    assert sum("its results differ from the golden outputs" in note for note in made.notices) == 1
    assert len(list((tmp_path / "cache/engines").glob("*.record"))) == len(used)


@TENSORRT_RTX
@pytest.mark.parametrize(("damage", "reason"), [
    (lambda path: path.write_bytes(path.read_bytes()[:-3]), "is truncated; received"),
    (lambda path: path.write_bytes(path.read_bytes()[:-3] + b"abc"), "has been modified"),
    (lambda path: path.write_bytes(b"\0" * 5000), "is not an engine of this release"),
])
def test_damaged_engines_are_told_of_and_harm_nothing(built, tiny, tmp_path, damage, reason):
    (engine,) = (tmp_path / "cache/engines").glob("tiny-vae_decoder-*.engine")
    damage(engine)
    made, used = run(tiny)
    assert used["vae_decoder"] == f"onnxruntime ({CPU})" and used["refiner_step"] == "tensorrt-rtx"
    assert any("vae_decoder does not run on tensorrt-rtx" in note and reason in note for note in made.notices)
    build_missing(Pack.open(tiny), "tensorrt-rtx", quiet=True)
    assert built.built == ["vae_decoder"]


@TENSORRT_RTX
def test_engines_are_used_on_another_card_once_they_have_passed_there(built, tiny, monkeypatch, tmp_path):
    """They are portable. What the golden inputs gave on one card says nothing of another."""
    other = SimulatedGpu(monkeypatch, tmp_path / "cache", Card("Another GPU", (12, 0)))
    made, used = run(tiny)
    assert set(used.values()) == {"tensorrt-rtx"} and made.notices == () and other.built == []
    (record,) = (tmp_path / "cache/engines").glob("tiny-vae_decoder-*.record")
    cards = json.loads(record.read_text())["cards"]
    assert set(cards) == {"Simulated GPU, compute capability 8.9", "Another GPU, compute capability 12.0"}
    assert all(measured["golden"]["relative"] <= measured["golden"]["tolerance"] for measured in cards.values())


@TENSORRT_RTX
def test_an_engine_that_the_product_calls_invalid_is_not_used(built, tiny, monkeypatch, tmp_path):
    SimulatedGpu(monkeypatch, tmp_path / "cache", Card("A Turing GPU", (7, 5)))
    made, used = run(tiny)
    assert set(used.values()) == {f"onnxruntime ({CPU})"}
    note = next(note for note in made.notices if note.startswith("text_encoder "))
    assert "does not run on tensorrt-rtx: " in note and "(it is not built for this GPU's compute capability)" in note
    with pytest.raises(ModelFileError, match="^text_encoder does not run on tensorrt-rtx: .*it is rebuilt by: meshwright build"):
        run(tiny, backend="tensorrt-rtx")
    turing = SimulatedGpu(monkeypatch, tmp_path / "cache", Card("A Turing GPU", (7, 5)))
    build_missing(Pack.open(tiny), "auto", quiet=True)
    assert len(turing.built) == len(tiny_pack.GRAPHS)
    assert run(tiny, backend="tensorrt-rtx")[0].notices == ()


@TENSORRT_RTX
def test_an_old_driver_is_the_reason_where_it_is(built, tiny):
    built.trt.invalid = 4  # OLD_CUDA_DRIVER
    with pytest.raises(BackendUnavailable, match="text_encoder does not run .*the NVIDIA driver is too old.*install NVIDIA's driver"):
        run(tiny, backend="tensorrt-rtx")


@TENSORRT_RTX
def test_a_foreign_engine_in_a_file_of_ours(built, tiny, monkeypatch, capsys):
    """TensorRT itself refuses it: another build of the library, say. It is built again when engines are built."""
    monkeypatch.setattr("tests.engines.simulated_tensorrt.MAGIC", b"another plan")
    made, used = run(tiny)
    assert set(used.values()) == {f"onnxruntime ({CPU})"}
    assert any("text_encoder does not run on tensorrt-rtx: " in note and "does not load on this machine" in note for note in made.notices)
    build_missing(Pack.open(tiny), "auto", quiet=False)
    assert set(built.built) == set(tiny_pack.GRAPHS) and "text_encoder-" in capsys.readouterr().err
    assert run(tiny)[0].provenance["backend"] == "tensorrt-rtx"


@TENSORRT_RTX
def test_a_cache_that_can_only_be_read_serves_and_is_asked_again(built, tiny, monkeypatch, tmp_path):
    """Its engines are checked by each process anew, and a golden result that cannot be kept is no error."""
    for golden_result in (tmp_path / "cache/engines").glob("*.record"):
        golden_result.unlink()

    def refuse(*arguments):
        raise PermissionError("read-only")

    monkeypatch.setattr(side_file, "replace", refuse)
    _, used = run(tiny)
    assert set(used.values()) == {"tensorrt-rtx"}
    assert list((tmp_path / "cache/engines").glob("*.record")) == []


def wrong(tiny, gpu):
    """A model with the tensors of `shap_e_params` and other numbers."""
    import onnx

    text = tiny_pack.PARAMS.replace("(latent) }", "(doubled) }").replace("{ weight_0", "{ doubled = Add(latent, latent) weight_0")
    model = onnx.parser.parse_model(f'<ir_version: 11, opset_import: ["" : 23]> {text}')
    path = tiny.parent / "wrong.onnx"
    onnx.save(model, path)
    return path
