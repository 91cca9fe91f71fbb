"""Group norms in pieces: against float64, on pictures of which most pixels are equal."""

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import nn

from meshwright.engines import open_engine
from meshwright.export.onnx.group_norm import split_group_norms
from meshwright.export.onnx.onnx_file import write_onnx
from meshwright.export.spec import FP16, FP16_STORED, FP32, ComponentSpec, Input

GROUPS, CHANNELS = 4, 16


def pictures():
    """(1, 16, 96, 128) float32 by name. Every channel of "close" has about the same value, so that its variance is small."""
    rng = np.random.default_rng(0)
    shape, each = (1, CHANNELS, 96, 128), rng.standard_normal((1, CHANNELS, 1, 1))
    found = {"noise": rng.standard_normal(shape), "equal": np.broadcast_to(each, shape).copy()}
    for name, base, size in (("cut-out", each, 1.0), ("close", 1.2345, 0.01)):
        found[name] = np.broadcast_to(base, shape).copy()
        found[name][..., 40:50, 60:72] += size * rng.standard_normal((1, CHANNELS, 10, 12))  # 1 % of the pixels
    return {name: values.astype(np.float32) for name, values in found.items()}


def exact(x, scale, bias, eps=1e-6):
    """The definition (Wu and He 2018) in float64."""
    groups = x.astype(np.float64).reshape(x.shape[0], GROUPS, -1)
    away = groups - groups.mean(-1, keepdims=True)
    y = (away / np.sqrt((away**2).mean(-1, keepdims=True) + eps)).reshape(x.shape)
    along = (1, -1, *(1 for _ in x.shape[2:]))
    return y * scale.reshape(along) + bias.reshape(along)


def norm():
    torch.manual_seed(0)
    module = nn.GroupNorm(GROUPS, CHANNELS, eps=1e-6)
    nn.init.normal_(module.weight), nn.init.normal_(module.bias)
    return module.requires_grad_(False)


def off(path, module, x):
    """Largest error of the file at `path` on x, as a share of the largest value."""
    truth = exact(x, module.weight.double().numpy(), module.bias.double().numpy())
    with open_engine(path, threads=1) as engine:
        return np.abs(engine.run({"x": x})["y"] - truth).max() / np.abs(truth).max()


def operators(path):
    return {node.op_type for node in ir.load(path).graph}


def component(module, shape, precision=FP32, axes=None):
    return ComponentSpec("norm", module, (Input("x", shape),), ("y",), axes, precision)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("norm") / "norm.onnx"
    write_onnx(component(norm(), (1, CHANNELS, 96, 128)), path)
    return path


@pytest.mark.parametrize("name", ["noise", "equal", "cut-out", "close"])
def test_values_are_exact_however_many_pixels_are_equal(written, name):
    assert off(written, norm(), pictures()[name]) < 2e-5


def test_the_operator_itself_is_not(tmp_path):
    """Were this no longer so, the split could go."""
    text = f"""<ir_version: 10, opset_import: ["" : 23]> norm (float[1, {CHANNELS}, 96, 128] x, float[{CHANNELS}] s, float[{CHANNELS}] b)
        => (float[1, {CHANNELS}, 96, 128] y) {{ y = GroupNormalization <num_groups = {GROUPS}, epsilon = 1e-6> (x, s, b) }}"""
    model = ir.from_onnx_text(text)
    ir.save(model, tmp_path / "whole.onnx")
    module, x = norm(), pictures()["close"]
    truth = exact(x, module.weight.numpy(), module.bias.numpy())
    inputs = {"x": x, "s": module.weight.numpy(), "b": module.bias.numpy()}
    errors = []
    for name in ("whole", "split"):
        with open_engine(tmp_path / f"{name}.onnx") as engine:
            errors.append(np.abs(engine.run(inputs)["y"] - truth).max() / np.abs(truth).max())
        assert split_group_norms(model) == (name == "whole")
        ir.save(model, tmp_path / "split.onnx")
    whole, split = errors
    assert not whole < 1e-3 and split < 2e-5  # `whole` is NaN or large


def test_graphs_calculated_in_half_precision_keep_the_operator(tmp_path):
    write_onnx(component(norm(), (1, CHANNELS, 8, 8), FP16_STORED), tmp_path / "stored.onnx")
    write_onnx(component(norm(), (1, CHANNELS, 8, 8), FP16), tmp_path / "half.onnx")
    assert "GroupNormalization" not in operators(tmp_path / "stored.onnx")
    assert "GroupNormalization" in operators(tmp_path / "half.onnx")


@pytest.mark.parametrize("shape", [(3, CHANNELS), (2, CHANNELS, 3000), (2, CHANNELS, 1031), (1, CHANNELS, 5, 4, 3)])
def test_every_rank_and_long_axes(tmp_path, shape):
    """3000 is calculated as 60 x 50; 1031 is a prime."""
    write_onnx(component(norm(), shape), tmp_path / "norm.onnx")
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32) + 3
    assert off(tmp_path / "norm.onnx", norm(), x) < 2e-6


def test_a_long_axis_of_equal_values(tmp_path):
    """A picture's pixels in one axis, as an autoencoder's attention has them."""
    write_onnx(component(norm(), (1, CHANNELS, 96 * 128)), tmp_path / "norm.onnx")
    assert off(tmp_path / "norm.onnx", norm(), pictures()["close"].reshape(1, CHANNELS, -1)) < 2e-5


def test_open_axes(tmp_path):
    axes = {"n": (2, 1), "h": (6, 9), "w": (4, 7)}
    write_onnx(component(norm(), ("n", CHANNELS, "h", "w"), axes=axes), tmp_path / "norm.onnx")
    assert "GroupNormalization" not in operators(tmp_path / "norm.onnx")
    for shape in ((2, CHANNELS, 6, 4), (1, CHANNELS, 9, 7)):
        assert off(tmp_path / "norm.onnx", norm(), np.random.default_rng(1).standard_normal(shape).astype(np.float32)) < 2e-6


def test_one_norm_used_twice(tmp_path):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = norm()

        def forward(self, x):
            return self.norm(self.norm(x).relu() + 1)

    write_onnx(component(Twice(), (1, CHANNELS, 8, 8)), tmp_path / "norm.onnx")
    x = torch.randn(1, CHANNELS, 8, 8, generator=torch.Generator().manual_seed(0))
    with open_engine(tmp_path / "norm.onnx") as engine:
        np.testing.assert_allclose(engine.run({"x": x.numpy()})["y"], Twice()(x).numpy(), atol=1e-5)
