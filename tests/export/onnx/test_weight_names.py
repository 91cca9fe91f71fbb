"""Every weight of an exported network is found by its parameter's name, stored transposed or not."""

import numpy as np
import onnx_ir
import pytest
import torch
from diffusers import UNet2DConditionModel

from meshwright.export.components.refiner import refiner
from meshwright.export.components.views_step import views_step
from meshwright.export.onnx.onnx_file import write_onnx
from meshwright.export.spec import FP16, FP16_STORED, FP32
from tests.export.small import Rows, spec
from tests.export.two_pass import NET, WIDTH, networks


def initializers(spec, folder):
    write_onnx(spec, folder / spec.file)
    return {name: value.const_value.numpy() for name, value in onnx_ir.load(folder / spec.file).graph.initializers.items()}


def parameter(name, stored):
    """What a stored weight says of the parameter that it was: its name and its values."""
    name = name.removesuffix(".half")
    return (name.removesuffix(".T"), stored.T) if name.endswith(".T") else (name, stored)


@pytest.mark.slow
@pytest.mark.parametrize("precision", [FP32, FP16_STORED, FP16], ids=["fp32", "fp16", "fp16-compute"])
def test_a_refiners_weights_are_found_by_name(tmp_path, precision):
    torch.manual_seed(0)
    unet = UNet2DConditionModel(in_channels=8, out_channels=4, up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), **NET)
    found = dict(parameter(*item) for item in initializers(refiner(unet, (8, 4), (5, WIDTH), precision=precision), tmp_path).items())
    weights = {f"module.net.{name}": value.detach().numpy() for name, value in unet.named_parameters() if value.dim() > 1}
    assert set(weights) <= set(found)
    for name, value in weights.items():
        np.testing.assert_allclose(found[name].astype(np.float32), value, atol=0 if precision == FP32 else 1e-3, rtol=1e-3)


@pytest.mark.slow
def test_a_layer_that_is_called_twice_has_its_weight_once(tmp_path):
    unet, _ = networks()
    stored = initializers(views_step(unet, (8, 4), (6, 6), (5, WIDTH)), tmp_path)
    names = [parameter(name, value)[0] for name, value in stored.items()]
    assert len(names) == len(set(names))
    weights = {f"module.net.unet.{name}" for name, value in unet.named_parameters() if value.dim() > 1}
    assert weights <= set(names)


class TwiceTransposed(torch.nn.Module):
    """One layer on the rows of two inputs of different rank, which the exporter turns into different operators."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(3, 40)

    def forward(self, rows):
        return self.layer(rows) + self.layer(rows[0].flip(0)).mean()


def test_a_weight_that_is_needed_both_ways_keeps_both_names(tmp_path):
    module = TwiceTransposed()
    stored = initializers(spec(module), tmp_path)
    held = {name: value for name, value in stored.items() if "weight" in name}
    assert set(held) == {"module.layer.weight", "module.layer.weight.T"}
    for name, value in held.items():
        np.testing.assert_array_equal(parameter(name, value)[1], module.layer.weight.detach().numpy())


def test_marks_stand_in_order(tmp_path):
    stored = initializers(spec(Rows(width=20_000), precision=FP16_STORED), tmp_path)
    assert {name for name, value in stored.items() if value.ndim == 2} == {
        "module.layers.0.weight.T.half", "module.layers.2.weight.T.half"}
