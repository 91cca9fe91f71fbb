"""A network with a LoRA gives what diffusers and PEFT give with the same file, and is as before without it."""

import numpy as np
import pytest
import torch
from diffusers.loaders import StableDiffusionLoraLoaderMixin as Loader
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from meshwright.engines.errors import InputError
from meshwright.export.onnx import onnx_file
from meshwright.export.spec import FP16, FP16_STORED, FP32, INT8
from meshwright.runtime.backends.models import Models
from meshwright.runtime.pack.golden import Golden
from meshwright.runtime.pack.pack import Pack
from meshwright.runtime.pipeline import Pipeline
from tests.runtime.lora import lora_pack

pytestmark = pytest.mark.slow

LAYERS = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out", "conv1", "conv_in", "conv_shortcut",
          "time_emb_proj"]
PRECISIONS = {"fp32": (FP32, 1e-5), "fp16": (FP16_STORED, 2e-3), "fp16-compute": (FP16, 2e-2), "int8": (INT8, 1e-2)}


@pytest.fixture(scope="module")
def packs(tmp_path_factory):
    """By precision; weights of the second lie beside the model, and those of the last are in 8 bits though they are few."""
    folder, made = tmp_path_factory.mktemp("packs"), {}
    for name, (precision, _) in PRECISIONS.items():
        with pytest.MonkeyPatch.context() as patch:
            if name == "int8":
                patch.setattr(onnx_file, "MIN_HALF", 100)
            made[name] = lora_pack.write(folder / name, precision, 10_000 if name == "fp16" else 10**9)
    return made


@pytest.fixture(scope="module")
def lora(tmp_path_factory):
    """As diffusers' training scripts write it, with ranks and alphas that differ."""
    folder = tmp_path_factory.mktemp("lora")
    net = lora_pack.unet()
    net.add_adapter(LoraConfig(r=3, lora_alpha=6, target_modules=LAYERS, rank_pattern={"conv1": 2}, alpha_pattern={"to_q": 9}))
    randomise(net)
    Loader.save_lora_weights(folder, unet_lora_layers=get_peft_model_state_dict(net),
                             unet_lora_adapter_metadata=net.peft_config["default"].to_dict())
    return folder / "pytorch_lora_weights.safetensors"


def randomise(net):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "lora_B" in name:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))


def loaded(file):
    """A network that diffusers has put the LoRA on."""
    net = lora_pack.unet()
    tensors, alphas, metadata = Loader.lora_state_dict(file, unet_config=net.config, return_lora_metadata=True)
    Loader.load_lora_into_unet(tensors, alphas, net, adapter_name="style", metadata=metadata)
    return net


@torch.no_grad()
def expected(net, pack):
    """The step as PyTorch calculates it for the golden inputs."""
    inputs = Golden(Pack.open(pack)).inputs(Pack.open(pack).component("refiner_step"))
    return lora_pack.step(net).reference(*(torch.from_numpy(value) for value in inputs.values()))[1].numpy()


def step(pipe):
    inputs = Golden(pipe.pack).inputs(pipe.pack.component("refiner_step"))
    return pipe.models.run("refiner_step", **inputs)["previous_next"]


def error(value, reference):
    return np.abs(value - reference).max() / np.abs(reference).max()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_result_is_that_of_diffusers(packs, lora, precision):
    reference, plain = expected(loaded(lora), packs[precision]), expected(lora_pack.unet(), packs[precision])
    with Pipeline.open(packs[precision], threads=1) as pipe:
        before = step(pipe)
        pipe.load_lora(lora)
        assert error(step(pipe), reference) < PRECISIONS[precision][1] < 0.1 * error(plain, reference)
        pipe.unload_lora()
        np.testing.assert_array_equal(step(pipe), before)


def test_a_scale_counts_as_in_diffusers_and_loras_add_up(packs, lora):
    net = loaded(lora)
    net.set_adapters(["style"], [0.6])
    reference = expected(net, packs["fp32"])
    with Pipeline.open(packs["fp32"], threads=1) as pipe:
        pipe.load_lora(lora, 0.6)
        once = step(pipe)
        pipe.unload_lora()
        pipe.load_lora(lora, 0.9)
        pipe.load_lora(lora, -0.3)
        twice = step(pipe)
    assert error(once, reference) < 1e-5 and error(twice, reference) < 1e-5


def test_weights_merged_by_peft_are_the_same(packs, lora):
    net = loaded(lora)
    net.fuse_lora()
    net.unload_lora()
    with Pipeline.open(packs["fp32"], threads=1) as pipe:
        pipe.load_lora(lora)
        assert error(step(pipe), expected(net, packs["fp32"])) < 1e-5


def test_the_layout_of_attention_processors_is_read_as_diffusers_reads_it(packs, tmp_path, lora):
    old = {}
    for name, value in load_file(lora).items():
        layer, part = name.removeprefix("unet.").rsplit(".lora_", 1)
        attention, _, projection = layer.rpartition(".to_")
        if attention and "attn" in attention:
            direction = {"A.weight": "down", "B.weight": "up"}[part]
            old[f"unet.{attention}.processor.to_{projection.removesuffix('.0')}_lora.{direction}.weight"] = value
    save_file(old, tmp_path / "old.safetensors")
    with Pipeline.open(packs["fp32"], threads=1) as pipe:
        pipe.load_lora(tmp_path / "old.safetensors")
        assert error(step(pipe), expected(loaded(tmp_path / "old.safetensors"), packs["fp32"])) < 1e-5


def test_a_lora_that_gives_no_numbers_is_refused_and_nothing_changes(packs, lora, tmp_path):
    huge = {name: value * 1e18 if "to_q" in name or "to_k" in name else value for name, value in load_file(lora).items()}
    save_file(huge, tmp_path / "huge.safetensors")
    with Pipeline.open(packs["fp32"], threads=1) as pipe:
        before = step(pipe)
        with pytest.raises(InputError, match="refiner_step produces values that are not finite; received latent_next, previous_next"):
            pipe.load_lora(tmp_path / "huge.safetensors")
        assert pipe.loras.applied == ()
        np.testing.assert_array_equal(step(pipe), before)


def test_models_stay_as_they_are(packs, lora):
    """Nothing in the pack's folder changes."""
    files = {file: file.read_bytes() for file in packs["fp16"].iterdir()}
    pipe = Pipeline(Models(Pack.open(packs["fp16"]), threads=1))
    pipe.load_lora(lora)
    pipe.close()
    assert {file: file.read_bytes() for file in packs["fp16"].iterdir()} == files
