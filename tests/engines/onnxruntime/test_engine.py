"""The ONNX Runtime backend on real files: both verbs, its buffers and its errors."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from meshwright.engines import EngineSpec, TensorSpec, open_engine
from meshwright.engines.errors import BackendError, BackendUnavailable, EngineError, ModelFileError, TensorError
from meshwright.engines.onnxruntime.engine import OnnxRuntimeEngine, _find_libraries, read_spec
from meshwright.engines.onnxruntime.package import import_onnxruntime
from tests.engines import models

onnxruntime = import_onnxruntime()

STEPS, LENGTH = 5, 3


def affine_inputs(batch=2):
    x = np.arange(batch * 3, dtype=np.float32).reshape(batch, 3)
    return {"x": x, "scale": np.array([2], np.float32), "shift": np.full((batch, 3), 0.5, np.float32)}


def loop_inputs(steps=STEPS, length=LENGTH):
    rng = np.random.default_rng(0)
    carry = {"x": rng.standard_normal(length).astype(np.float32), "count": np.array(10)}
    per_step = {"gain": rng.standard_normal(steps).astype(np.float32),
                "z": rng.standard_normal((steps, length)).astype(np.float32)}
    return carry, per_step, {"bias": rng.standard_normal(length).astype(np.float32)}


def loop_result(carry, per_step, constants):
    x = carry["x"]
    for gain, z in zip(per_step["gain"], per_step["z"], strict=True):
        x = gain * x + constants["bias"] + z
    return x


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def affine(folder):
    with open_engine(models.affine(folder / "affine.onnx"), threads=1) as engine:
        yield engine


@pytest.fixture(scope="module")
def loop(folder):
    with open_engine(models.loop(folder / "loop.onnx"), threads=1) as engine:
        yield engine


def test_the_spec_is_the_files(affine):
    batched = ("batch", 3)
    assert affine.spec == EngineSpec(
        (TensorSpec("x", "float32", batched), TensorSpec("scale", "float32", (1,)),
         TensorSpec("shift", "float32", batched)),
        (TensorSpec("y", "float32", batched),))


def test_run(affine):
    for batch in (1, 4, 0):
        outputs = affine.run(affine_inputs(batch))
        assert list(outputs) == ["y"] and outputs["y"].dtype == np.float32
        np.testing.assert_array_equal(outputs["y"], affine_inputs(batch)["x"] * 2 + 0.5)


def test_arrays_of_the_other_byte_order(affine, loop):
    """As some file formats give them."""
    def swapped(arrays):
        return {name: value.astype(value.dtype.newbyteorder("S")) for name, value in arrays.items()}

    np.testing.assert_array_equal(affine.run(swapped(affine_inputs()))["y"], affine.run(affine_inputs())["y"])
    received = loop.scan(*map(swapped, loop_inputs()))["x"]
    np.testing.assert_array_equal(received, loop.scan(*loop_inputs())["x"])


def test_outputs_belong_to_the_caller(affine):
    first = affine.run(affine_inputs())["y"]
    kept = first.copy()
    affine.run({**affine_inputs(), "scale": np.array([9], np.float32)})
    np.testing.assert_array_equal(first, kept)
    first[:] = 0  # and may be written to


def test_inputs_need_not_be_contiguous(affine):
    inputs = affine_inputs()
    inputs["x"] = np.asfortranarray(inputs["x"])
    inputs["shift"] = np.full((4, 6), 0.5, np.float32)[::2, ::2]
    np.testing.assert_array_equal(affine.run(inputs)["y"], affine_inputs()["x"] * 2 + 0.5)


def test_an_output_whose_length_the_model_decides(folder):
    with open_engine(models.nonzero(folder / "nonzero.onnx")) as engine:
        found = engine.run({"x": np.array([0, 3, 0, 4], np.float32)})["found"]
        assert found.tolist() == [[1, 3]] and found.dtype == np.int64


def test_an_axis_without_a_name_gets_one(folder):
    path = models.save(folder / "unnamed.onnx", [helper.make_node("Neg", ["x"], ["y"])],
                       [models.tensor("x", [None, 2])], [models.tensor("y", [None, 2])])
    with open_engine(path) as engine:
        assert engine.spec.inputs[0].shape == ("x_0", 2) and engine.spec.outputs[0].shape == ("y_0", 2)
        assert engine.run({"x": np.ones((3, 2), np.float32)})["y"].tolist() == [[-1, -1]] * 3


@pytest.mark.parametrize("steps", [1, 2, 5, 6])
def test_scan(loop, steps):
    carry, per_step, constants = loop_inputs(steps)
    result = loop.scan(carry, per_step, constants)
    assert list(result) == ["x", "count"]
    np.testing.assert_allclose(result["x"], loop_result(carry, per_step, constants), rtol=1e-5, atol=1e-6)
    assert result["count"].shape == () and result["count"] == 10 + steps


def test_scan_writes_to_no_array_of_the_caller(loop):
    arguments, before = loop_inputs(), loop_inputs()
    result = loop.scan(*arguments)
    result["x"][:] = 0
    for given, kept in zip(arguments, before, strict=True):
        for name in given:
            np.testing.assert_array_equal(given[name], kept[name])


def test_scan_means_a_loop_of_runs(loop):
    carry, per_step, constants = loop_inputs()
    expected = dict(carry)
    for i in range(STEPS):
        outputs = loop.run({**expected, **constants, "gain": per_step["gain"][i], "z": per_step["z"][i]})
        expected = {"x": outputs["x_next"], "count": outputs["count_next"]}
    result = loop.scan(carry, per_step, constants)
    for name in expected:
        np.testing.assert_array_equal(result[name], expected[name])


def test_scan_of_no_steps_gives_the_carry_back(loop):
    carry, per_step, constants = loop_inputs(0)
    result = loop.scan(carry, per_step, constants)
    np.testing.assert_array_equal(result["x"], carry["x"])
    assert result["x"] is not carry["x"]


def test_on_step_counts_and_may_stop_the_scan(loop):
    seen = []

    def on_step(done, steps):
        seen.append((done, steps))
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.scan(*loop_inputs(), on_step=on_step)
    assert seen == [(1, 5), (2, 5), (3, 5)]
    test_scan(loop, STEPS)  # and the engine goes on working


@pytest.mark.parametrize("change, message", [
    ({"shift": None}, "missing input 'shift'; received x, scale; expected x, scale, shift"),
    ({"extra": np.zeros(1)}, "unknown input 'extra'"),
    ({"x": np.zeros((2, 3))}, r"tensor 'x'; received float64 \(2, 3\); expected float32 \(batch, 3\)"),
    ({"x": np.zeros((2, 4), np.float32)}, r"tensor 'x'; received float32 \(2, 4\); expected float32 \(batch, 3\)"),
    ({"scale": np.zeros((), np.float32)}, r"tensor 'scale'; received float32 \(\); expected float32 \(1,\)"),
    ({"shift": np.zeros((5, 3), np.float32)}, "axis 'batch' of tensor 'shift'; received 5; expected 2, as in .*'x'"),
])
def test_run_names_the_tensor_what_came_and_what_was_expected(affine, change, message):
    inputs = {name: value for name, value in {**affine_inputs(), **change}.items() if value is not None}
    with pytest.raises(TensorError, match=message):
        affine.run(inputs)


@pytest.mark.parametrize("argument, change, message", [
    (0, {"x": np.zeros(LENGTH)}, r"tensor 'x'; received float64 \(3,\); expected float32 \(length,\)"),
    (0, {"z": np.zeros(LENGTH, np.float32)}, "given twice: input 'z'"),
    (1, {"gain": np.zeros(4, np.float32)}, "steps of tensor 'gain'; received 4; expected 5, as in tensor 'z'"),
    (1, {"gain": np.float32(1)}, "per-step tensor 'gain'; received a scalar"),
    (1, {"z": np.zeros((5, 4), np.float32)}, "axis 'length' of tensor 'z'; received 4; expected 3, as in tensor 'x'"),
    (1, {"z": np.zeros((5, 3))}, r"tensor 'z'; received float64 \(5, 3\); expected float32 \(5, length\)"),
    (2, {"bias": np.zeros((1, 3), np.float32)}, r"tensor 'bias'; received float32 \(1, 3\)"),
])
def test_scan_names_the_tensor_what_came_and_what_was_expected(loop, argument, change, message):
    arguments = list(loop_inputs())
    arguments[1] = {"z": arguments[1]["z"], "gain": arguments[1]["gain"]}
    arguments[argument] = {**arguments[argument], **change}
    with pytest.raises(TensorError, match=message):
        loop.scan(*arguments)


def test_a_carry_needs_an_output_that_feeds_it(loop):
    carry, per_step, constants = loop_inputs()
    carry["bias"] = constants.pop("bias")
    with pytest.raises(TensorError, match="carry 'bias'; received x_next, count_next, twice; .*'bias_next'"):
        loop.scan(carry, per_step, constants)


def test_scan_needs_steps(loop):
    carry, per_step, constants = loop_inputs()
    with pytest.raises(TensorError, match="per_step; received no tensor"):
        loop.scan(carry, {}, {**constants, "gain": np.float32(1), "z": carry["x"]})


def test_a_vendors_error_becomes_ours_with_its_cause(folder, capfd):
    with open_engine(models.reshape(folder / "reshape.onnx")) as engine:
        with pytest.raises(BackendError, match="the model did not run; received .*[Rr]eshape") as caught:
            engine.run({"x": np.zeros(6, np.float32), "shape": np.array([4, 2])})
        assert caught.value.__cause__ is not None and "\n" not in str(caught.value)
        assert engine.run({"x": np.zeros(6, np.float32), "shape": np.array([3, 2])})["y"].shape == (3, 2)
    assert capfd.readouterr() == ("", "")


def test_files_that_are_no_models(folder):
    with pytest.raises(ModelFileError, match="missing; received .*absent.onnx"):
        open_engine(folder / "absent.onnx")
    for content in (b"", b"not a model", models.affine(folder / "whole.onnx").read_bytes()[:60]):
        (folder / "broken.onnx").write_bytes(content)
        with pytest.raises(EngineError, match="broken.onnx did not load"):
            open_engine(folder / "broken.onnx")


@pytest.mark.parametrize("name", [b"batch", b"shift"], ids=["axis", "tensor"])
def test_names_that_are_not_text(folder, name):
    """ONNX Runtime takes the file as it is, and raises UnicodeDecodeError when it is asked for the name."""
    path = folder / "latin.onnx"
    path.write_bytes((folder / "affine.onnx").read_bytes().replace(name, b"\xe9" * len(name)))
    for read in (open_engine, read_spec):
        with pytest.raises(ModelFileError, match="a tensor or an axis of latin.onnx has a name that is not UTF-8"):
            read(path)


def test_a_type_that_arrays_cannot_hold(folder):
    path = models.save(folder / "text.onnx", [helper.make_node("Identity", ["x"], ["y"])],
                       [models.tensor("x", [1], TensorProto.STRING)], [models.tensor("y", [1], TensorProto.STRING)])
    with pytest.raises(ModelFileError, match=r"tensor 'x' of text.onnx .*received tensor\(string\)"):
        open_engine(path)


def test_a_provider_that_is_not_there(folder, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    message = r"CUDAExecutionProvider; expected CPUExecutionProvider; pip install 'meshwright\[gpu\]'"
    with pytest.raises(BackendUnavailable, match=message):
        open_engine(models.affine(folder / "affine.onnx"), providers=("CUDAExecutionProvider", "CPUExecutionProvider"))
    with pytest.raises(BackendUnavailable, match="no provider"):
        open_engine(folder / "affine.onnx", providers=())


def test_a_provider_that_does_not_start(folder, monkeypatch):
    # What ONNX Runtime does without the provider's libraries: it goes on with the CPU.
    available = ["CPUExecutionProvider", "ROCMExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    with pytest.warns(UserWarning), pytest.raises(BackendUnavailable, match="ROCMExecutionProvider did not start"):
        open_engine(models.affine(folder / "affine.onnx"), providers=("ROCMExecutionProvider",))


@pytest.mark.parametrize("words, kind", [
    ("CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version", BackendUnavailable),
    ("libcublasLt.so.13: cannot open shared object file", BackendUnavailable),
    ("CUDA failure 2: out of memory", BackendError)])
def test_a_provider_that_fails_as_it_starts(folder, monkeypatch, capfd, words, kind):
    def fail(*given, enable_fallback, **options):
        assert not enable_fallback
        raise RuntimeError(words)

    looked = []
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: looked.append(print("looking for libraries")))
    _find_libraries.cache_clear()
    with pytest.raises(kind, match="CUDA|libraries") as caught:
        open_engine(models.affine(folder / "affine.onnx"), providers=("CUDAExecutionProvider",))
    assert type(caught.value) is kind and len(looked) == 1
    assert capfd.readouterr() == ("", "")
    _find_libraries.cache_clear()


def test_provider_options_and_threads(folder):
    path = models.affine(folder / "affine.onnx")
    with open_engine(path, providers=[("CPUExecutionProvider", {})], threads=2) as engine:
        np.testing.assert_array_equal(engine.run(affine_inputs())["y"], affine_inputs()["x"] * 2 + 0.5)
        assert engine._session.get_session_options().intra_op_num_threads == 2
    with pytest.raises(EngineError, match="threads; received 0; expected an integer from 1"):
        open_engine(path, threads=0)


def test_a_closed_engine(folder):
    engine = OnnxRuntimeEngine(models.affine(folder / "affine.onnx"))
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.run(affine_inputs())
    with pytest.raises(EngineError, match="closed"), engine:
        pass
