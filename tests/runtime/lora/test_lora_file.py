"""LoRA files: every layout of diffusers gives the same layers, and what is damaged or unknown is named."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from meshwright.engines.errors import InputError
from meshwright.runtime.lora import read_lora
from tests.runtime.lora.lora_files import LAYER, RANK, layers, matrices, write

DOWN, UP = matrices()
ATTENTION = LAYER.removesuffix(".to_q")
LAYOUTS = {
    "peft": {f"{LAYER}.lora_A.weight": DOWN, f"{LAYER}.lora_B.weight": UP},
    "peft, a pipeline's": {f"unet.{LAYER}.lora_A.weight": DOWN, f"unet.{LAYER}.lora_B.weight": UP},
    "peft, with the adapter's name": {f"{LAYER}.lora_A.default.weight": DOWN, f"{LAYER}.lora_B.default.weight": UP},
    "diffusers": {f"unet.{LAYER}.lora.down.weight": DOWN, f"unet.{LAYER}.lora.up.weight": UP},
    "diffusers, a linear layer's": {f"unet.{LAYER}.lora_linear_layer.down.weight": DOWN, f"unet.{LAYER}.lora_linear_layer.up.weight": UP},
    "attention processors": {f"{ATTENTION}.processor.to_q_lora.down.weight": DOWN, f"{ATTENTION}.processor.to_q_lora.up.weight": UP}}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_layers(tmp_path, layout):
    lora = read_lora(write(tmp_path / "style.safetensors", LAYOUTS[layout]))
    assert lora.name == "style.safetensors" and list(lora.layers) == [LAYER] and not lora.underscored
    layer = lora.layers[LAYER]
    assert layer.shape == (6, 5) and layer.factor == 1.0
    np.testing.assert_allclose(layer.delta(0.5), 0.5 * UP @ DOWN, rtol=1e-5)


def test_the_output_layer_of_old_attention_processors(tmp_path):
    names = [f"{ATTENTION}.processor.to_out_lora.{part}.weight" for part in ("down", "up")]
    lora = read_lora(write(tmp_path / "old.safetensors", dict(zip(names, (DOWN, UP), strict=True))))
    assert list(lora.layers) == [f"{ATTENTION}.to_out.0"]


def test_names_with_underscores_are_marked(tmp_path):
    name = f"lora_unet_{LAYER.replace('.', '_')}"
    tensors = {f"{name}.lora_down.weight": DOWN, f"{name}.lora_up.weight": UP, f"{name}.alpha": np.float32(1)}
    lora = read_lora(write(tmp_path / "under.safetensors", tensors))
    assert list(lora.layers) == [LAYER.replace(".", "_")] and lora.underscored == {LAYER.replace(".", "_")}
    assert lora.layers[LAYER.replace(".", "_")].factor == 1 / RANK


@pytest.mark.parametrize("notes, factor", [
    ({"lora_alpha": 6}, 6 / RANK), ({"unet.lora_alpha": 6}, 6 / RANK), ({"lora_alpha": 6, "use_rslora": True}, 6 / RANK**0.5),
    ({"lora_alpha": 6, "alpha_pattern": {"attn1.to_q": 8}}, 8 / RANK), ({"lora_alpha": 6, "alpha_pattern": {"attn2.to_q": 8}}, 6 / RANK)])
def test_the_adapters_settings_count(tmp_path, notes, factor):
    lora = read_lora(write(tmp_path / "a.safetensors", LAYOUTS["peft"], {"lora_adapter_metadata": json.dumps(notes)}))
    assert lora.layers[LAYER].factor == factor


def test_convolutions(tmp_path):
    layer = read_lora(layers(tmp_path / "conv.safetensors", {"conv_in": (4, 3, 3, 3)})).layers["conv_in"]
    down, up = matrices((4, 3, 3, 3))
    assert layer.shape == (4, 3, 3, 3)
    np.testing.assert_allclose(layer.delta(1.0), np.einsum("orxy,rijk->oijk", up, down), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions(tmp_path, dtype):
    stored = {name: torch.from_numpy(value).to(dtype) for name, value in LAYOUTS["peft"].items()}
    save_file(stored, tmp_path / "half.safetensors")
    layer = read_lora(tmp_path / "half.safetensors").layers[LAYER]
    np.testing.assert_array_equal(layer.down, stored[f"{LAYER}.lora_A.weight"].double().numpy())
    np.testing.assert_array_equal(layer.up, stored[f"{LAYER}.lora_B.weight"].double().numpy())


@pytest.mark.parametrize("tensors, message", [
    ({f"unet.{LAYER}.lora_A.weight": 2 * DOWN}, r"or duplicate tensors; received (unet\.)?down_blocks.*lora_A\.weight; expected"),
    ({f"{LAYER}.lora.up.weight": 2 * UP}, r"or duplicate tensors; received down_blocks.*to_q\.lora"),
    ({"text_encoder.layers.0.q_proj.lora_B.bias": UP[0]}, r"duplicate tensors; received text_encoder\.layers\.0\.q_proj\.lora_B\.bias"),
    ({f"{LAYER}.lora_magnitude_vector": UP[0]}, r"unknown or duplicate tensors; received .*lora_magnitude_vector"),
    ({f"{LAYER}.alpha": np.ones(3, np.float32)}, r"unknown or duplicate tensors; received .*to_q\.alpha"),
    ({"other.alpha": np.float32(1)}, r"unknown or duplicate tensors; received other\.alpha"),
    ({"other.lora_A.weight": DOWN}, "do not match, or are not finite; received other"),
    ({"other.lora_A.weight": DOWN, "other.lora_B.weight": UP[:, :1]}, "do not match, or are not finite; received other"),
    ({"other.lora_A.weight": DOWN, "other.lora_B.weight": UP * np.nan}, "not finite; received other"),
    ({"other.lora_A.weight": DOWN[0], "other.lora_B.weight": UP}, "do not match")])
def test_what_is_not_known_is_listed(tmp_path, tensors, message):
    with pytest.raises(InputError, match=message):
        read_lora(write(tmp_path / "bad.safetensors", LAYOUTS["peft"] | tensors))


def test_long_lists_are_cut(tmp_path):
    tensors = {f"strange.{i}": UP for i in range(9)}
    with pytest.raises(InputError, match=r"received strange\.0, strange\.1, strange\.2, strange\.3, strange\.4 and 4 more"):
        read_lora(write(tmp_path / "bad.safetensors", tensors))


def test_files_that_hold_nothing(tmp_path):
    with pytest.raises(InputError, match="is empty"):
        read_lora(write(tmp_path / "none.safetensors", {}))
    for missing in (tmp_path / "gone.safetensors", tmp_path, "a\0b"):
        with pytest.raises(InputError, match="cannot be read"):
            read_lora(missing)


@pytest.mark.parametrize("header", [
    b"[]", b"{", b'{"a": 1}', b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 80]}}',
    b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 8]}}', b'{"a": {"dtype": "I8", "shape": [8], "data_offsets": [0, 8]}}',
    b'{"a": {"dtype": "F32", "shape": [1e9], "data_offsets": [0, 8]}}', b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}}',
    b'{"a": {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]}}'])
def test_wrong_headers_are_refused(tmp_path, header):
    path = tmp_path / "wrong.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(InputError, match="is not a safetensors file, or is damaged"):
        read_lora(path)


def test_damaged_files_are_never_a_traceback(tmp_path):
    whole = write(tmp_path / "whole.safetensors", LAYOUTS["peft"]).read_bytes()
    rng, path = np.random.default_rng(0), tmp_path / "damaged.safetensors"
    refused = 0
    for i in range(1000):
        data = bytearray(whole[:rng.integers(1, len(whole))] if i % 3 == 0 else whole)
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(min(len(data), 300))] = rng.integers(256)
        path.write_bytes(data)
        try:
            read_lora(path)
        except InputError:
            refused += 1
    assert refused > 900


def safetensors(header, values=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + values


def entry(low, high, shape=(2, 2), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [low, high]}


@pytest.mark.parametrize("data", [
    safetensors({f"t{i}": entry(0, 16) for i in range(400)}, bytes(16)),  # all of them claim the same bytes
    safetensors({"a": entry(0, 16), "b": entry(8, 24)}, bytes(24)), safetensors({"a": entry(8, 24)}, bytes(24)),
    safetensors({"a": entry(0, 16)}, bytes(17)), safetensors({"a": entry(0, 16, (1 << 40, 1 << 40, 0, 4))}, bytes(16)),
    safetensors({"a": entry(0, 16, [1] * 100)}, bytes(16)), safetensors({"a": entry(-16, 0)}, bytes(16)),
    safetensors({"a": entry(0, "16")}, bytes(16)), safetensors({"a": []}), safetensors({"a": {"dtype": [], "shape": 1}}),
    safetensors({"a": entry(16, 0)}, bytes(16)), safetensors(b'{"a": ' + b"[" * 100_000), safetensors(b'{"a": 1' + b"0" * 5000 + b"}"),
    safetensors({"a": {**entry(0, 16), "data_offsets": [0, 16, 3]}}, bytes(16)), safetensors({"__metadata__": 3, "a": 3}),
    safetensors({"a": {**entry(0, 16), "dtype": ["F32"]}}, bytes(16)), (1 << 60).to_bytes(8, "little") + bytes(100)])
def test_places_that_lie(tmp_path, data):
    (tmp_path / "lies.safetensors").write_bytes(data)
    with pytest.raises(InputError, match="is not a safetensors file, or is damaged"):
        read_lora(tmp_path / "lies.safetensors")


def test_devices_and_fifos_are_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "fifo")
    for path, what in (("/dev/zero", "a device"), (tmp_path / "fifo", "a FIFO")):
        with pytest.raises(InputError, match=f"the LoRA .* cannot be read; received {what}; expected a regular file"):
            read_lora(path)


@pytest.mark.parametrize("alpha", [10**400, [1], True])
def test_an_alpha_beyond_every_number(tmp_path, alpha):
    notes = {"lora_adapter_metadata": json.dumps({"lora_alpha": alpha})}
    with pytest.raises(InputError, match="alpha of layer .* is not a number"):
        read_lora(write(tmp_path / "a.safetensors", LAYOUTS["peft"], notes))
