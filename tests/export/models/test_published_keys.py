"""Published checkpoints load without renaming: names and shapes of the parameters, built without memory or time."""

import hashlib
from pathlib import Path

import pytest
import torch

from meshwright.export.models.reconstructor import Reconstructor, ReconstructorConfig
from meshwright.export.models.shap_e import ShapEDecoder, ShapEDecoderConfig

DATA = Path(__file__).parent / "data"
BASE = ReconstructorConfig(depth=12, channels=40)


def shapes(module):
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def published(file, encoder_layers, transformer_layers):
    found = {}
    for line in (DATA / file).read_text().splitlines():
        if line.startswith("#"):
            continue
        name, shape = line.split()
        layers = encoder_layers if name.startswith("encoder") else transformer_layers
        for layer in range(layers) if "*" in name else [0]:
            found[name.replace("*", str(layer))] = tuple(map(int, shape.split(",")))
    return found


@pytest.mark.parametrize("file, config, tensors, parameters", [
    ("instantmesh_base.txt", BASE, 455, 313_352_516),
    ("instantmesh_large.txt", ReconstructorConfig(), 519, 378_657_644)])
def test_reconstructor_has_the_parameters_of_instantmesh(file, config, tensors, parameters):
    with torch.device("meta"):
        module = Reconstructor(config)
    expected = published(file, config.encoder_depth, config.depth)
    assert len(expected) == tensors and sum(p.numel() for p in module.parameters()) == parameters
    assert shapes(module) == expected


@pytest.mark.parametrize("file, config, tensors, parameters", [
    ("instantmesh_base.txt", BASE, 431, 313_249_004), ("instantmesh_large.txt", ReconstructorConfig(), 495, 378_477_332)])
def test_nerf_variant_has_the_parameters_of_instantnerf(file, config, tensors, parameters):
    with torch.device("meta"):
        module = Reconstructor(config, "nerf")
    mesh = published(file, config.encoder_depth, config.depth)
    expected = {name: shape for name, shape in mesh.items() if not name.startswith("synthesizer")}
    for index, (outer, inner) in {0: (64, 3 * config.channels), 2: (64, 64), 4: (64, 64), 6: (4, 64)}.items():
        expected[f"synthesizer.decoder.net.{index}.weight"] = (outer, inner)
        expected[f"synthesizer.decoder.net.{index}.bias"] = (outer,)
    assert len(expected) == tensors and sum(p.numel() for p in module.parameters()) == parameters
    assert shapes(module) == expected


def test_shap_e_decoder_has_the_parameters_of_shap_e_renderer():
    with torch.device("meta"):
        module = ShapEDecoder(ShapEDecoderConfig())
    inner, widths = (93, 256, 256, 256, 307, 256, 256), (93, 256, 256, 256)
    expected = {}
    for k, width in enumerate(widths):
        prefix = f"params_proj.projections.nerstf__mlp__{k}__weight"
        expected[f"{prefix}.proj.weight"] = (256 * width, 1024)
        expected[f"{prefix}.proj.bias"] = (256 * width,)
        expected[f"{prefix}.norm.weight"] = expected[f"{prefix}.norm.bias"] = (width,)
    for k, width in enumerate(inner):
        outer = 12 if k == 6 else 256
        expected[f"mlp.mlp.{k}.weight"], expected[f"mlp.mlp.{k}.bias"] = (outer, width), (outer,)
    assert shapes(module) == expected


def test_refiner_of_the_published_size_has_the_parameters_of_sharp_it():
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        module = UNet2DConditionModel(sample_size=(120, 80), in_channels=8, attention_head_dim=(5, 10, 20, 20),
                                      cross_attention_dim=1024, use_linear_projection=True)
    lines = sorted(f"{name}\t{shape}" for name, shape in shapes(module).items())
    assert len(lines) == 686 and sum(p.numel() for p in module.parameters()) == 865_922_244
    # The list has 686 lines of "name<tab>shape"; its hash stands for it here.
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == SHARP_IT


SHARP_IT = "f9466895b52f340e1df4fb28a4346a43a5c078a4214800c3a23d837a9d995f86"
