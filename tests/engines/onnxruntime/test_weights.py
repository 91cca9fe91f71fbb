"""Weights of model files: found by name, replaced without anything else changing, and damaged files refused."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from meshwright.engines import open_engine
from meshwright.engines.errors import ModelFileError, TensorError
from meshwright.engines.onnxruntime.weights import ModelWeights
from tests.engines import models

WIDTH = 32
X = np.random.default_rng(1).standard_normal((3, WIDTH), dtype=np.float32)


@pytest.fixture(params=["inside", "beside", "both"])
def model(request, tmp_path):
    """x -> x W0 W1, W0 in FP16 and W1 in FP32; stored in the model file, beside it, or one here and one there."""
    rng = np.random.default_rng(0)
    first, second = (rng.standard_normal((WIDTH, WIDTH)).astype(kind) for kind in (np.float16, np.float32))
    nodes = [helper.make_node("Cast", ["first.half"], ["first"], to=models.FLOAT),
             helper.make_node("MatMul", ["x", "first"], ["between"]), helper.make_node("MatMul", ["between", "second"], ["y"])]
    path = models.save(tmp_path / "model.onnx", nodes, [models.tensor("x", ["rows", WIDTH])], [models.tensor("y", ["rows", WIDTH])],
                       [numpy_helper.from_array(first, "first.half"), numpy_helper.from_array(second, "second")])
    if request.param != "inside":
        threshold = {"beside": 0, "both": second.nbytes - 1}[request.param]
        onnx.save(onnx.load(path), path, save_as_external_data=True, location="model.onnx.data", size_threshold=threshold)
    return path


def run(path, **options):
    with open_engine(path, threads=1, **options) as engine:
        return engine.run({"x": X})["y"]


def others(model):
    return {name: weight.read() * 2 + 1 for name, weight in ModelWeights(model).stored.items()}


def test_weights_are_found_by_name(model):
    found = {name: (weight.dtype.name, weight.shape) for name, weight in ModelWeights(model).stored.items()}
    assert found == {"first.half": ("float16", (WIDTH, WIDTH)), "second": ("float32", (WIDTH, WIDTH))}
    for tensor in onnx.load(model).graph.initializer:
        np.testing.assert_array_equal(ModelWeights(model).stored[tensor.name].read(), numpy_helper.to_array(tensor))


@pytest.mark.parametrize("map_weights", [False, True])
@pytest.mark.parametrize("names", [["first.half"], ["second"], ["first.half", "second"]])
def test_a_model_runs_with_other_weights(model, names, map_weights):
    before, files = run(model, map_weights=map_weights), {file: file.read_bytes() for file in model.parent.iterdir()}
    weights = {name: others(model)[name] for name in names}
    used = {name: weights.get(name, weight.read()).astype(np.float32) for name, weight in ModelWeights(model).stored.items()}
    replaced = run(model, map_weights=map_weights, weights=weights)
    expected = X @ used["first.half"] @ used["second"]
    np.testing.assert_allclose(replaced, expected, atol=1e-5 * np.abs(expected).max())
    assert np.abs(replaced - before).max() > 0.1 * np.abs(before).max()
    np.testing.assert_array_equal(run(model, map_weights=map_weights), before)
    assert {file: file.read_bytes() for file in model.parent.iterdir()} == files


def test_a_copy_with_other_weights_is_the_same_model_but_for_them(model, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    weights = others(model)
    copy = ModelWeights(model).write(weights, folder)
    np.testing.assert_array_equal(run(copy), run(model, weights=weights))
    made = onnx.load(copy)
    onnx.checker.check_model(made)
    assert {tensor.name: numpy_helper.to_array(tensor).tobytes() for tensor in made.graph.initializer} == {
        name: value.tobytes() for name, value in weights.items()}
    assert made.graph.node == onnx.load(model).graph.node


@pytest.mark.parametrize("name, value, message", [
    ("third", np.zeros(3, np.float32), "no weight 'third'"),
    ("second", np.zeros((WIDTH, WIDTH), np.float16), r"received float16 \(32, 32\); expected float32 \(32, 32\)"),
    ("second", np.zeros((WIDTH, 2), np.float32), r"received float32 \(32, 2\)")])
def test_weights_that_do_not_fit_are_refused(model, name, value, message):
    with pytest.raises(TensorError, match=message):
        open_engine(model, weights={name: value})


def test_small_models_of_other_makers_are_read(tmp_path):
    """Values encoded one by one are no weights that could be replaced, but they do no harm."""
    path = models.loop(tmp_path / "loop.onnx")
    assert ModelWeights(path).stored == {}
    with pytest.raises(TensorError, match="no weight 'one' that can be replaced"):
        open_engine(path, weights={"one": np.zeros((), np.int64)})


def test_files_that_are_no_models_are_refused(tmp_path):
    path = tmp_path / "no.onnx"
    for content in (b"", b"no model", bytes(range(256)), b"\xff" * 100):
        path.write_bytes(content)
        with pytest.raises(ModelFileError):
            ModelWeights(path)
    with pytest.raises(ModelFileError, match="gone.onnx cannot be read"):
        ModelWeights(tmp_path / "gone.onnx")


def test_a_broken_model_is_never_a_traceback(tmp_path):
    """Whatever a flipped or missing byte does to the encoding: weights, or a ModelFileError."""
    whole = models.half_weights(tmp_path / "model.onnx", 4, 1).read_bytes()
    rng, path = np.random.default_rng(0), tmp_path / "broken.onnx"
    refused = 0
    for i in range(1000):
        data = bytearray(whole[:rng.integers(1, len(whole))] if i % 2 else whole)
        data[rng.integers(len(data))] = rng.integers(256)
        path.write_bytes(data)
        try:
            for weight in ModelWeights(path).stored.values():
                weight.read()
        except ModelFileError:
            refused += 1
    assert 100 < refused < 1000


def test_weights_elsewhere_are_not_followed(tmp_path):
    path = models.half_weights(tmp_path / "model.onnx", 4, 1)
    text = path.read_bytes()
    assert text.count(b"model.onnx.data") == 1
    path.write_bytes(text.replace(b"model.onnx.data", b"../secrets.data"))
    assert ModelWeights(path).stored == {}
