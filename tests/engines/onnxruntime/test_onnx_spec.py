"""Specs read from files are those that ONNX Runtime gives."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from meshwright.engines.errors import ModelFileError
from meshwright.engines.onnxruntime.engine import read_spec
from meshwright.engines.onnxruntime.onnx_spec import spec_in_file
from tests.engines import models

PROPS = Path(__file__).parents[3] / "runtime" / "packs" / "props"


@pytest.mark.parametrize("make", [models.affine, models.loop, models.nonzero, models.reshape,
                                  lambda path: models.half_weights(path, 8, 2)])
def test_small_models(tmp_path, make):
    path = make(tmp_path / "model.onnx")
    assert spec_in_file(path) == read_spec(path)


@pytest.mark.parametrize("path", sorted(PROPS.glob("*.onnx")), ids=lambda path: path.stem)
def test_components_of_props(path):
    assert spec_in_file(path) == read_spec(path)


def test_axes_without_a_name_and_weights_among_the_inputs(tmp_path):
    weight = helper.make_tensor("w", TensorProto.FLOAT, [2], [1, 2])
    path = models.save(tmp_path / "model.onnx", [helper.make_node("Mul", ["x", "w"], ["y"])],
                       [models.tensor("x", [None, 2]), models.tensor("w", [2])], [models.tensor("y", [None, 2])], [weight])
    assert spec_in_file(path) == read_spec(path)
    assert [tensor.name for tensor in spec_in_file(path).inputs] == ["x"] and spec_in_file(path).inputs[0].shape == ("x_0", 2)


def test_an_axis_of_length_minus_one_is_open(tmp_path):
    path = models.save(tmp_path / "model.onnx", [helper.make_node("Neg", ["x"], ["y"])], [models.tensor("x", [-1, 2])],
                       [models.tensor("y", [-1, 2])])
    assert spec_in_file(path) == read_spec(path) and spec_in_file(path).inputs[0].shape == ("x_0", 2)


def test_what_has_to_be_inferred_is_left_to_onnx_runtime(tmp_path):
    model = onnx.load(models.affine(tmp_path / "model.onnx"))
    model.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(model, tmp_path / "model.onnx")
    assert spec_in_file(tmp_path / "model.onnx") is None


def test_files_that_are_no_models(tmp_path):
    for content in (None, b"", b"\xff" * 40):
        if content is not None:
            (tmp_path / "model.onnx").write_bytes(content)
        with pytest.raises(ModelFileError):
            spec_in_file(tmp_path / "model.onnx")
