"""LoRAs that do not fit a network are refused with the layers that are wrong, and nothing changes then."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from meshwright.engines import open_engine
from meshwright.engines.errors import InputError
from meshwright.runtime.lora import read_lora
from meshwright.runtime.lora.merge import NetworkWeights
from tests.engines import models
from tests.runtime.lora.lora_files import layers, matrices, write

WEIGHTS = {"module.net.conv_in.weight": (4, 3, 3, 3), "module.net.mid.proj.weight.T": (6, 5), "module.net.mid.to_q.weight": (5, 6),
           "module.net.mid.to_q.weight.T": (6, 5), "module.net.shortcut.weight": (4, 3, 1, 1), "module.net.mid.norm.weight": (5,),
           "module.net.other": (5, 6)}


def network(path, names=WEIGHTS, dtype=np.float32):
    """A model file with weights of those names, which its graph has no use for."""
    rng = np.random.default_rng(0)
    held = [numpy_helper.from_array(rng.standard_normal(shape).astype(dtype), name) for name, shape in names.items()]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [models.tensor("x", [1])], [models.tensor("y", [1])], held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10), path)
    return NetworkWeights(path)


def test_weights_are_found_in_every_form(tmp_path):
    net = network(tmp_path / "net.onnx")
    assert {name: [form.stored.name.removeprefix("module.net.") for form in forms] for name, forms in net.layers.items()} == {
        "conv_in": ["conv_in.weight"], "mid.proj": ["mid.proj.weight.T"], "mid.to_q": ["mid.to_q.weight", "mid.to_q.weight.T"],
        "shortcut": ["shortcut.weight"]}


def test_weights_in_8_bits_become_float32_with_the_loras_whole_change(tmp_path):
    rng, name = np.random.default_rng(0), "module.net.a.weight.T"
    held = [numpy_helper.from_array(rng.integers(-127, 128, (70, 5), np.int8), f"{name}.int8"),
            numpy_helper.from_array(np.full((2, 5), 0.5, np.float32), f"{name}.scale")]
    nodes = [helper.make_node("DequantizeLinear", [f"{name}.int8", f"{name}.scale"], [name], axis=0, block_size=64),
             helper.make_node("MatMul", ["x", name], ["y"])]
    path = models.save(tmp_path / "net.onnx", nodes, [models.tensor("x", [1, 70])], [models.tensor("y", [1, 5])], held)
    merged = NetworkWeights(path).merged([(read_lora(layers(tmp_path / "a.safetensors", {"a": (5, 70)})), 1e-3)])
    down, up = matrices((5, 70))
    assert list(merged) == [name] and merged[name].dtype == np.float32
    change = merged[name] - 0.5 * numpy_helper.to_array(held[0])
    assert 0 < np.abs(change).max() < 0.25  # less than half a step of 8 bits
    np.testing.assert_allclose(change.T, 1e-3 * up @ down, atol=1e-5)
    x = np.ones((1, 70), np.float32)
    with open_engine(path, weights=merged) as engine:
        np.testing.assert_allclose(engine.run({"x": x})["y"], x @ merged[name], rtol=1e-5, atol=1e-4)


def test_every_form_of_a_weight_gets_the_same(tmp_path):
    net = network(tmp_path / "net.onnx")
    lora = read_lora(layers(tmp_path / "a.safetensors", {"mid.to_q": (5, 6)}))
    merged = net.merged([(lora, 0.5)])
    assert set(merged) == {"module.net.mid.to_q.weight", "module.net.mid.to_q.weight.T"}
    down, up = matrices((5, 6))
    for form in net.layers["mid.to_q"]:
        added = merged[form.stored.name] - form.stored.read()
        np.testing.assert_allclose(added.T if form.is_transposed else added, 0.5 * up @ down, atol=1e-5)


def test_the_unet_is_changed_and_not_the_controlnet_beside_it(tmp_path):
    net = network(tmp_path / "net.onnx", {"module.net.unet.a.weight": (5, 6), "module.net.controlnet.a.weight": (5, 6)})
    lora = read_lora(layers(tmp_path / "a.safetensors", {"a": (5, 6)}))
    assert set(net.merged([(lora, 1.0)])) == {"module.net.unet.a.weight"}


def test_names_with_underscores(tmp_path):
    down, up = matrices((5, 6))
    file = write(tmp_path / "a.safetensors", {"lora_unet_mid_to_q.lora_down.weight": down, "lora_unet_mid_to_q.lora_up.weight": up})
    assert "module.net.mid.to_q.weight" in network(tmp_path / "net.onnx").merged([(read_lora(file), 1.0)])


def test_a_linear_layer_and_a_convolution_of_one_pixel_are_the_same(tmp_path):
    net = network(tmp_path / "net.onnx")
    lora = read_lora(layers(tmp_path / "a.safetensors", {"shortcut": (4, 3), "mid.proj": (5, 6, 1, 1)}))
    assert {name: value.shape for name, value in net.merged([(lora, 1.0)]).items()} == {
        "module.net.shortcut.weight": (4, 3, 1, 1), "module.net.mid.proj.weight.T": (6, 5)}


def test_layers_of_another_network_are_listed(tmp_path):
    lora = read_lora(layers(tmp_path / "a.safetensors", {"mid.to_q": (5, 6), "mid.to_k": (5, 6), "mid.norm": (5, 6)}))
    with pytest.raises(InputError, match=r"layers that net does not have; received mid\.norm, mid\.to_k; expected conv_in, mid\.proj"):
        network(tmp_path / "net.onnx").merged([(lora, 1.0)])


def test_other_shapes_are_listed(tmp_path):
    lora = read_lora(layers(tmp_path / "a.safetensors", {"mid.to_q": (5, 6), "conv_in": (4, 4, 3, 3), "mid.proj": (6, 5)}))
    wrong = r"received conv_in \(4, 4, 3, 3\), not \(4, 3, 3, 3\), mid\.proj \(6, 5\), not \(5, 6\)"
    with pytest.raises(InputError, match=f"weights of other shapes; {wrong}"):
        network(tmp_path / "net.onnx").merged([(lora, 1.0)])


def test_a_pack_from_before_weights_had_names_is_to_be_exported_again(tmp_path):
    net = network(tmp_path / "net.onnx", {"module.net.conv_in.weight": (4, 3, 3, 3), "val_92.half": (6, 5)})
    with pytest.raises(InputError, match="export the pack again: in this one they cannot be found by name"):
        net.merged([(read_lora(layers(tmp_path / "a.safetensors", {"mid.to_q": (5, 6)})), 1.0)])


def test_weights_beyond_half_precision_are_refused(tmp_path):
    net = network(tmp_path / "net.onnx", {"module.net.a.weight.half": (5, 6)}, np.float16)
    lora = read_lora(layers(tmp_path / "a.safetensors", {"a": (5, 6)}))
    assert net.merged([(lora, 1.0)])["module.net.a.weight.half"].dtype == np.float16
    with pytest.raises(InputError, match="exceeds the range of float16; received weight module.net.a.weight.half; .*smaller scale"):
        net.merged([(lora, 1e6)])


@pytest.mark.parametrize("alpha", [1e38, 1e300])
def test_weights_beyond_single_precision_are_refused(tmp_path, alpha):
    """Without a warning before it."""
    tensors = {f"mid.to_q.lora_{part}.weight": 10 * each for part, each in zip("AB", matrices((5, 6)), strict=True)}
    lora = read_lora(write(tmp_path / "a.safetensors", tensors | {"mid.to_q.alpha": np.array(alpha)}))
    with pytest.raises(InputError, match="exceeds the range of float32"):
        network(tmp_path / "net.onnx").merged([(lora, 100.0)])


def test_a_layer_under_two_names_is_refused(tmp_path):
    down, up = matrices((5, 6))
    file = write(tmp_path / "a.safetensors", {"lora_unet_mid_to_q.lora_down.weight": down, "lora_unet_mid_to_q.lora_up.weight": up,
                                              "mid.to_q.lora_A.weight": down, "mid.to_q.lora_B.weight": up})
    with pytest.raises(InputError, match="has a layer twice"):
        network(tmp_path / "net.onnx").merged([(read_lora(file), 1.0)])
