"""Weights in 8 bits: what they stand for, that they are dequantised once, and that float32 ones take their place."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from meshwright.engines import open_engine
from meshwright.engines.errors import ModelFileError, TensorError
from meshwright.engines.onnxruntime.engine import FASTEST, MAPPED, _session_options
from meshwright.engines.onnxruntime.int8_weights import dequantized
from meshwright.engines.onnxruntime.package import import_onnxruntime
from meshwright.engines.onnxruntime.weights import ModelWeights
from tests.engines import models

X = np.random.default_rng(1).standard_normal((1, 40, 6, 6), dtype=np.float32)  # the results are up to 60


@pytest.fixture(params=["inside", "beside"])
def model(request, tmp_path):
    return models.int8_weights(tmp_path / "model.onnx", beside=request.param == "beside")


def run(path, **options):
    with open_engine(path, threads=1, **options) as engine:
        return engine.run({"x": X})["y"]


def optimised(path, plan):
    """The operators that a session of ours runs."""
    options = _session_options(import_onnxruntime(), 1, plan)
    options.optimized_model_filepath = str(path.with_name("optimised.onnx"))
    import_onnxruntime().InferenceSession(str(path), options, providers=["CPUExecutionProvider"],
                                          disabled_optimizers=[] if plan.fold_constants else ["ConstantFolding"])
    return [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]


def test_a_block_has_one_scale_and_the_last_one_may_be_shorter():
    values, scales = np.array([[1, -2], [3, 4], [5, -127]], np.int8), np.array([[1, 10], [0.5, 2]], np.float32)
    np.testing.assert_array_equal(dequantized(values, scales, 0, 2), [[1, -20], [3, 40], [2.5, -254]])
    np.testing.assert_array_equal(dequantized(values.T, scales.T, 1, 2), [[1, 3, 2.5], [-20, 40, -254]])
    np.testing.assert_array_equal(dequantized(values, np.array([2, 3], np.float32), 1, 0), [[2, -6], [6, 12], [10, -381]])


@pytest.mark.parametrize("scales, axis, block", [(np.ones((3, 2)), 0, 2), (np.ones((2, 5)), 0, 2), (np.ones(5), 1, 0)])
def test_scales_of_another_shape_are_refused(scales, axis, block):
    with pytest.raises(ValueError):
        dequantized(np.ones((3, 2), np.int8), scales.astype(np.float32), axis, block)


def test_weights_are_found_as_what_they_stand_for(model):
    held = {tensor.name: tensor for tensor in onnx.load(model).graph.initializer}
    stored = ModelWeights(model).stored
    assert {name: (weight.dtype.name, weight.shape) for name, weight in stored.items()} == {
        "conv": ("float32", (48, 40, 3, 3)), "matrix": ("float32", (96, 5)), "shape": ("int64", (2,))}
    for name, axis, block in (("conv", 1, 32), ("matrix", 0, 64)):
        node = helper.make_node("DequantizeLinear", ["values", "scales"], ["w"], axis=axis, block_size=block)
        graph = helper.make_graph([node], "g", [], [models.tensor("w", stored[name].shape)],
                                  [numpy_helper.from_array(numpy_helper.to_array(held[f"{name}.{part}"]), called)
                                   for part, called in (("int8", "values"), ("scale", "scales"))])
        reference = ReferenceEvaluator(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)]))
        np.testing.assert_array_equal(stored[name].read(), reference.run(None, {})[0])


def test_they_are_dequantised_when_the_file_is_opened_and_nothing_is_fused_with_them(model):
    assert "DequantizeLinear" not in optimised(model, FASTEST)
    assert optimised(model, MAPPED) == [node.op_type for node in onnx.load(model).graph.node]


@pytest.mark.parametrize("map_weights", [False, True])
def test_a_model_runs_as_with_the_weights_that_they_stand_for(model, map_weights, tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()
    plain = ModelWeights(model).write({}, folder, widen=True)
    made = onnx.load(plain)
    onnx.checker.check_model(made, full_check=True)
    assert [node.op_type for node in made.graph.node] == ["Conv", "Reshape", "MatMul"]
    assert {tensor.name for tensor in made.graph.initializer} == {"conv", "matrix", "shape"}
    np.testing.assert_allclose(run(model, map_weights=map_weights), run(plain), atol=1e-3)


@pytest.mark.parametrize("map_weights", [False, True])
@pytest.mark.parametrize("names", [["conv"], ["matrix"], ["conv", "matrix"]])
def test_one_is_replaced_by_float32_without_loss(model, names, map_weights, tmp_path):
    before, files = run(model), {file: file.read_bytes() for file in model.parent.iterdir() if file.is_file()}
    stored = ModelWeights(model).stored
    weights = {name: stored[name].read() + np.float32(1e-3) for name in names}  # a sixth of a step
    folder = tmp_path / "copy"
    folder.mkdir()
    copy = ModelWeights(model).write(weights, folder)
    for name, value in weights.items():
        np.testing.assert_array_equal(ModelWeights(copy).stored[name].read(), value)
    assert [name for name in stored if name not in names] == [name for name in ModelWeights(copy).stored if name not in names]
    replaced = run(model, map_weights=map_weights, weights=weights)
    np.testing.assert_allclose(replaced, run(copy), atol=1e-3)
    assert np.abs(replaced - before).max() > 0.01
    np.testing.assert_array_equal(run(model), before)
    assert {file: file.read_bytes() for file in files} == files


@pytest.mark.parametrize("name, message", [("conv.int8", "no weight 'conv.int8'"), ("conv.scale", "no weight 'conv.scale'"),
                                           ("conv", r"received int8 \(48, 40, 3, 3\); expected float32")])
def test_its_parts_cannot_be_replaced(model, name, message):
    with pytest.raises(TensorError, match=message):
        open_engine(model, weights={name: np.zeros((48, 40, 3, 3), np.int8)})


def test_scales_that_do_not_fit_are_told(tmp_path):
    path = models.int8_weights(tmp_path / "model.onnx")
    broken = onnx.load(path)
    held = next(tensor for tensor in broken.graph.initializer if tensor.name == "matrix.scale")
    held.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(held)[:-1], held.name))
    onnx.save(broken, path)
    with pytest.raises(ModelFileError, match=r"the weights of 'matrix' cannot be read; received scales \(1, 5\)"):
        ModelWeights(path).stored["matrix"].read()


def test_a_node_with_a_zero_point_is_left_alone(tmp_path):
    nodes = [helper.make_node("DequantizeLinear", ["w.int8", "w.scale", "zero"], ["w"]), helper.make_node("Add", ["x", "w"], ["y"])]
    path = models.save(tmp_path / "model.onnx", nodes, [models.tensor("x", [3])], [models.tensor("y", [3])],
                       [numpy_helper.from_array(np.ones(3, np.int8), "w.int8"), numpy_helper.from_array(np.float32(2), "w.scale"),
                        numpy_helper.from_array(np.int8(1), "zero")])
    assert set(ModelWeights(path).stored) == {"w.int8", "w.scale", "zero"}
