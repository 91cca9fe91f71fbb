"""Layers whose weights are stored in 8 bits: which, how, and how far off."""

import dataclasses

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from meshwright.engines.onnxruntime.onnx_check import check_model
from meshwright.engines.onnxruntime.weights import ModelWeights
from meshwright.export.onnx.int8 import block_scales, quantized
from meshwright.export.onnx.onnx_file import write_onnx
from meshwright.export.spec import FP16, FP16_STORED, FP32, INT8, ComponentSpec, Input, halves
from tests.export.small import exported_error


class Layers(nn.Module):
    """One of each: a table, a linear layer, convolutions there and back, one with few inputs, and a table that is added."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table, self.linear = nn.Embedding(500, 96), nn.Linear(96, 100)
        self.first, self.wide, self.back = nn.Conv2d(4, 230, 3), nn.Conv2d(230, 40, 1), nn.ConvTranspose2d(40, 230, 1)
        self.position = nn.Parameter(torch.randn(90, 100))

    def forward(self, ids, image):
        rows = self.linear(self.table(ids)) + self.position
        return rows @ self.back(self.wide(self.first(image))).flatten(2)[:, :100]


def spec_of(precision):
    ids = Input("ids", (1, 90), lambda rng, shape: rng.integers(500, size=shape))
    return ComponentSpec("layers", Layers().eval(), (ids, Input("image", (1, 4, 5, 5))), ("out",), precision=precision)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("int8") / "layers.onnx"
    write_onnx(spec_of(INT8), path)
    return path


def test_layers_are_stored_in_8_bits_along_their_inputs_and_other_large_weights_as_halves(written):
    onnx.checker.check_model(onnx.load(written), full_check=True)
    check_model(written, [])
    held = {tensor.name.removeprefix("module."): (tensor.data_type, tuple(tensor.dims)) for tensor in onnx.load(written).graph.initializer}
    int8, half, single = onnx.TensorProto.INT8, onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    expected = {"table.weight.int8": (int8, (500, 96)), "table.weight.scale": (single, (500, 2)),
                "linear.weight.T.int8": (int8, (96, 100)), "linear.weight.T.scale": (single, (2, 100)),
                "wide.weight.int8": (int8, (40, 230, 1, 1)), "wide.weight.scale": (single, (40, 4, 1, 1)),
                "back.weight.int8": (int8, (40, 230, 1, 1)), "back.weight.scale": (single, (1, 230, 1, 1)),
                "position.half": (half, (90, 100)), "first.weight.half": (half, (230, 4, 3, 3))}
    assert {name: value for name, value in held.items() if name in expected or np.prod(value[1]) >= 8192} == expected


def test_weights_that_need_more_are_halves(tmp_path):
    path = tmp_path / "layers.onnx"
    write_onnx(dataclasses.replace(spec_of(INT8), in_halves=("table.", "back.")), path)
    stored = ModelWeights(path)
    assert stored.in_8_bits == ["module.linear.weight.T", "module.wide.weight"]
    assert {"module.table.weight.half", "module.back.weight.half"} <= stored.stored.keys()


def test_the_file_is_little_more_than_a_quarter_and_calculates_nearly_the_same(written, tmp_path):
    write_onnx(spec_of(FP32), tmp_path / "layers.onnx")
    assert written.stat().st_size < 0.33 * (tmp_path / "layers.onnx").stat().st_size  # two of the layers are halves
    assert 1e-4 < exported_error(spec_of(INT8), tmp_path) < 1e-2


def test_values_are_rounded_to_127_steps_of_their_blocks_largest(written):
    weights, stored = Layers().table.weight.detach().numpy(), ModelWeights(written).stored["module.table.weight"].read()
    for columns in (slice(0, 64), slice(64, 96)):
        step = np.abs(weights[:, columns]).max(axis=1, keepdims=True) / 127
        steps = (stored - weights)[:, columns] / step
        assert np.abs(steps).max() < 1.001 and np.mean(np.abs(steps) <= 0.5001) > 0.9
        assert np.abs(steps.sum(axis=1)).max() < 0.501  # errors cancel in a block
        np.testing.assert_allclose(np.abs(stored[:, columns]).max(axis=1, keepdims=True), 127 * step, rtol=1e-6)


def test_errors_cancel_in_each_kernel_of_a_convolution():
    weights = np.random.default_rng(0).uniform(-1, 1, (3, 70, 3, 3)).astype(np.float32)
    scales = block_scales(weights, 1)
    error = quantized(weights, scales, 1) - weights / np.repeat(scales, 64, axis=1)[:, :70]
    assert np.abs(error.sum(axis=(2, 3))).max() < 0.501 and np.abs(error).max() < 1


def test_the_numbers_that_are_rounded_the_other_way_are_those_that_were_nearest_to_it():
    weights = np.array([[127, 1.4, 2.45, -3.3, 0.1], [127, -1.4, -2.45, 3.3, 0.0]], np.float32)
    scales = block_scales(weights, 1)
    np.testing.assert_array_equal(scales, [[1], [1]])
    np.testing.assert_array_equal(quantized(weights, scales, 1), [[127, 1, 3, -3, 0], [127, -1, -3, 3, 0]])


def test_what_was_rounded_once_is_not_rounded_again():
    weights = np.random.default_rng(0).standard_normal((100, 7), np.float32)
    weights[64:, 3] = 0  # a block of zeros
    scales = block_scales(weights, 0)
    values = quantized(weights, scales, 0)
    again = values * np.repeat(scales, 64, axis=0)[:100]
    assert values.dtype == np.int8 and scales[1, 3] == 1 and not values[64:, 3].any()
    np.testing.assert_array_equal(quantized(again, block_scales(again, 0), 0), values)


def test_a_large_file_has_its_weights_beside_it(written, tmp_path):
    path = tmp_path / "layers.onnx"
    write_onnx(spec_of(INT8), path, largest_file=1000)
    assert path.stat().st_size < written.stat().st_size / 3
    for name, weight in ModelWeights(written).stored.items():
        np.testing.assert_array_equal(ModelWeights(path).stored[name].read(), weight.read())


def test_what_needs_more_gets_halves():
    assert [halves(each) for each in (FP32, FP16_STORED, FP16, INT8)] == [FP32, FP16_STORED, FP16, FP16_STORED]
    assert dataclasses.astuple(INT8) == ("int8", "fp32", 3e-2)
