"""Large attention in pieces: the same values, and no more scores at once than the limit allows."""

import subprocess
import sys

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from meshwright.engines import open_engine
from meshwright.export.onnx import onnx_file
from meshwright.export.onnx.attention import split_attention
from meshwright.export.spec import ComponentSpec, Input

QUERIES, KEYS = 1500, 1100
PEAK = """
import sys
import numpy as np
from meshwright.engines import open_engine
from meshwright.engines.machine.memory import peak_bytes, reset_peak

rng = np.random.default_rng(0)
with open_engine(sys.argv[1], threads=1) as engine:
    inputs = {t.name: rng.standard_normal(t.shape, dtype=np.float32) for t in engine.spec.inputs}
    reset_peak()
    before = peak_bytes()
    engine.run(inputs)
    print(peak_bytes() - before)
"""


class Attend(torch.nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.options = options

    def forward(self, query, key, value):
        return scaled_dot_product_attention(query, key, value, **self.options) + 1


def component(**options):
    inputs = [Input(name, (1, 4, length, 8)) for name, length in (("query", QUERIES), ("key", KEYS), ("value", KEYS))]
    return ComponentSpec("attend", Attend(**options), tuple(inputs), ("out",))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("attention") / "whole.onnx"
    onnx_file.write_onnx(component(), path)
    return path


@pytest.fixture(scope="module")
def pieces(whole):
    """The same graph with at most 4 MB of scores a node: they are 26.4 MB, so in seven pieces."""
    model, path = ir.load(whole), whole.with_name("pieces.onnx")
    assert split_attention(model, 4_000_000) == 1
    ir.save(model, path)
    return path


def lengths(path):
    return [node.inputs[0].shape[2] for node in ir.load(path).graph if node.op_type == "Attention"]


def test_the_queries_are_divided_evenly(whole, pieces):
    assert lengths(whole) == [1500]
    model = ir.load(pieces)
    sizes = next(value.const_value.numpy() for name, value in model.graph.initializers.items() if name.endswith(".sizes"))
    assert sizes.tolist() == [215, 215, 215, 215, 215, 215, 210]
    assert [node.op_type for node in model.graph] == ["Split", *["Attention"] * 7, "Concat", "Add"]
    assert 4 * 4 * 215 * KEYS <= 4_000_000


def test_the_values_stay(whole, pieces):
    inputs = component().sample(np.random.default_rng(0), {})
    results = []
    for path in (whole, pieces):
        with open_engine(path, threads=1) as engine:
            results.append(engine.run(inputs)["out"])
    np.testing.assert_allclose(results[1], results[0], atol=1e-6)


def test_an_open_batch_is_counted_as_both_halves_of_guidance(whole, tmp_path):
    inputs = tuple(Input(tensor.name, ("halves", *tensor.shape[1:])) for tensor in component().inputs)
    onnx_file.write_onnx(ComponentSpec("attend", Attend(), inputs, ("out",), {"halves": (2,)}), tmp_path / "open.onnx")
    model = ir.load(tmp_path / "open.onnx")
    assert split_attention(model, 4_000_000) == 1
    ir.save(model, tmp_path / "open.onnx")
    # 1500 queries by 1100 keys, 4 heads, twice: 52.8 MB
    sizes = next(value.const_value.numpy() for name, value in model.graph.initializers.items() if name.endswith(".sizes"))
    assert sizes.tolist() == [108] * 13 + [96]
    given = component().sample(np.random.default_rng(0), {})
    with open_engine(whole, threads=1) as engine:
        expected = engine.run(given)["out"]
    with open_engine(tmp_path / "open.onnx", threads=1) as engine:
        for halves in (1, 2):
            received = engine.run({name: np.repeat(value, halves, axis=0) for name, value in given.items()})["out"]
            np.testing.assert_allclose(received, np.repeat(expected, halves, axis=0), atol=1e-6)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep one mark for the whole process")
def test_the_memory_is_bounded(whole, pieces):
    def peak(path):
        ended = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, timeout=120, check=True)
        return int(ended.stdout)

    assert peak(whole) - peak(pieces) > 15_000_000


def test_small_masked_and_causal_attention_stays_whole(whole, tmp_path):
    assert split_attention(ir.load(whole)) == 0
    onnx_file.write_onnx(component(is_causal=True), tmp_path / "causal.onnx")
    assert split_attention(ir.load(tmp_path / "causal.onnx"), 4_000_000) == 0
    onnx_file.write_onnx(component(attn_mask=torch.zeros(QUERIES, KEYS)), tmp_path / "masked.onnx")
    assert split_attention(ir.load(tmp_path / "masked.onnx"), 4_000_000) == 0
