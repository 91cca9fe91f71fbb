import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from meshwright.engines.errors import ExportError
from meshwright.export.onnx.onnx_file import write_onnx
from meshwright.export.props import restore
from meshwright.export.spec import FP16_STORED, INT8, ComponentSpec, Input


class Small(nn.Module):
    """A convolution, a matrix that is stored transposed, a repeated token, and a weight that nothing reads."""

    def __init__(self, width=8):
        super().__init__()
        self.conv, self.linear, self.norm = nn.Conv2d(3, width, 3), nn.Linear(width, 1200), nn.LayerNorm(1200)
        self.token, self.clip_mean = nn.Parameter(torch.randn(1, 1, width)), nn.Parameter(torch.zeros(1))

    def forward(self, image):
        tokens = torch.cat([self.token.expand(2, -1, -1), self.conv(image).flatten(2).mT.expand(2, -1, -1)], dim=1)
        return self.norm(self.linear(tokens))


def spec_of(module, precision=FP16_STORED):
    return ComponentSpec("small", module, (Input("image", (1, 3, 6, 6)),), ("states",), precision=precision)


def written(folder, precision=FP16_STORED, width=8):
    """A trained module, as a file."""
    torch.manual_seed(3)
    trained = Small(width).eval()
    with torch.no_grad():
        trained.norm.weight.mul_(torch.rand(1200))
    write_onnx(spec_of(trained, precision), folder / "small.onnx")
    return trained


def test_weights_come_back_as_they_were_stored(tmp_path):
    trained, empty = written(tmp_path), Small().eval()
    restore.fill(empty)
    state = restore.restore(empty, (spec_of(empty),), tmp_path)
    for name, values in trained.state_dict().items():
        if name != "clip_mean":
            stored = values.half().float() if values.numel() >= 8192 else values
            torch.testing.assert_close(state[name], stored, rtol=0, atol=0, msg=name)
    restore.check((spec_of(empty),), tmp_path)


def test_weights_in_8_bits_come_back_and_are_written_again_without_loss(tmp_path):
    trained, empty = written(tmp_path, INT8, 96), Small(96).eval()
    restore.fill(empty)
    state = restore.restore(empty, (spec_of(empty, INT8),), tmp_path)
    scale = trained.linear.weight.abs().amax() / 127
    change = (state["linear.weight"] - trained.linear.weight).abs()
    assert 0.2 * scale < change.max() <= 1.001 * scale
    restore.check((spec_of(empty, INT8),), tmp_path)
    before = (tmp_path / "small.onnx").read_bytes()
    write_onnx(spec_of(empty, INT8), tmp_path / "small.onnx")
    held = [onnx.load_from_string(data).graph.initializer for data in (before, (tmp_path / "small.onnx").read_bytes())]
    for first, again in zip(*held, strict=True):
        np.testing.assert_allclose(numpy_helper.to_array(again), numpy_helper.to_array(first), rtol=1e-6)


def test_a_module_that_is_not_the_packs_is_refused(tmp_path):
    written(tmp_path)
    other = Small().eval()
    with pytest.raises(ExportError, match="the restored small is not that of the pack"):
        restore.check((spec_of(other),), tmp_path)


def test_a_weight_that_no_file_holds_is_named(tmp_path):
    written(tmp_path)
    larger = Small().eval()
    larger.extra = nn.Parameter(torch.randn(4))
    restore.fill(larger)
    with pytest.raises(ExportError, match="extra"):
        restore.restore(larger, (spec_of(larger),), tmp_path)


def test_a_folder_without_a_pack_is_refused_first(tmp_path):
    with pytest.raises(ExportError, match="none is not a pack; expected a folder with pack.json"):
        restore.write(tmp_path / "none", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_axes_are_put_back():
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    moved = values.transpose(2, 0, 1)
    np.testing.assert_array_equal(restore._as_parameter(values, moved, moved * 10, "w"), values * 10)
    np.testing.assert_array_equal(restore._as_parameter(values, moved[None].repeat(5, 0), moved[None].repeat(5, 0), "w"), values)
