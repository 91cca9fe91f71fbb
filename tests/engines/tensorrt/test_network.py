"""What a parsed network is changed into before TensorRT builds it."""

import pytest
from onnx import helper

from meshwright.engines.machine.products import choose
from meshwright.engines.tensorrt.logger import logger
from meshwright.engines.tensorrt.network import KEYS, Network
from tests.engines import models
from tests.engines.platforms import TENSORRT_RTX

pytestmark = TENSORRT_RTX


def two_attentions(path, second_keys, length=3, batch=2):
    """y0 from 5 queries and y1 from 2, of width 8; length : of the keys and values."""
    nodes = [helper.make_node("Attention", ["q0", "k", "v"], ["y0"]), helper.make_node("Attention", ["q1", second_keys, "v"], ["y1"])]
    keys = [models.tensor(name, [batch, 1, length, 8]) for name in dict.fromkeys(["k", second_keys, "v"])]
    queries = [models.tensor(name, [batch, 1, count, 8]) for name, count in (("q0", 5), ("q1", 2))]
    return models.save(path, nodes, [*queries, *keys], [models.tensor("y0", [batch, 1, 5, 8]), models.tensor("y1", [batch, 1, 2, 8])])


@pytest.fixture
def parsed():
    """A function from a file to its network's layers and the attentions among them."""
    trt = choose("tensorrt-rtx").load()
    log = logger(trt)
    builder = trt.Builder(log)
    alive = []

    def parse(path):
        alive.append(Network(trt, builder, path, log))
        layers = [alive[-1].definition.get_layer(i) for i in range(alive[-1].definition.num_layers)]
        return layers, [layer for layer in layers if layer.type == trt.LayerType.ATTENTION_INPUT]
    return parse


@pytest.mark.parametrize("axis, batch", [(2, 2), ("halves", -1)])
def test_attentions_that_share_keys_get_their_own(parsed, tmp_path, axis, batch):
    """Together they crash TensorRT-RTX 1.7.1: the step of Zero123++ did, whose two passes read the same text."""
    layers, attentions = parsed(two_attentions(tmp_path / "shared.onnx", "k", batch=axis))
    parts = {layer.get_output(0).name: layer for layer in layers if layer.num_outputs}
    slices = [parts[attention.get_input(KEYS).name] for attention in attentions]
    for i, part in enumerate(slices):
        part.__class__ = choose("tensorrt-rtx").load().ISliceLayer
        assert tuple(part.start) == (0, i, 0, 0) and tuple(part.get_output(0).shape) == (batch, 1, 3, 8)
        assert tuple(part.stride) == (1, 1, 1, 1)
    assert tuple(slices[0].get_input(0).shape) == (batch, 2, 3, 8)
    assert slices[0].get_input(0).name == slices[1].get_input(0).name


@pytest.mark.parametrize("options", [{"second_keys": "other"}, {"second_keys": "k", "length": "tokens"}], ids=["own", "open"])
def test_other_attentions_stay_as_they_are(parsed, tmp_path, options):
    layers, attentions = parsed(two_attentions(tmp_path / "plain.onnx", **options))
    assert len(attentions) == 2 and not any("Slice" in layer.name for layer in layers)
