"""How far exported graphs are from PyTorch on what users give, and how far they would be with group norms as they come.

    python -m benchmarks.full_size.parity [--size small|full] [--side PIXELS] [--only NAME ...]

The published networks with seeded random weights, in FP32, on ONNX Runtime's CPU provider, against the same modules in PyTorch in
FP32: max |a - b| / max |b| on each case of `export.inputs`. Prints a table; nothing is downloaded and nothing is kept.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from meshwright.export.components.dmv3d import dmv3d
from meshwright.export.components.field_decoder import field_decoder
from meshwright.export.components.image_encoder import image_encoder
from meshwright.export.components.reconstructor import reconstructor
from meshwright.export.components.vae import FACTOR, ZERO123PLUS, reference_encoder, vae_decoder, vae_encoder
from meshwright.export.components.views_step import views_step
from meshwright.export.models.dmv3d import DMV3D
from meshwright.export.models.reconstructor import Reconstructor
from meshwright.export.onnx.onnx_file import write_onnx
from meshwright.export.pack import parity
from meshwright.export.spec import FP32, ComponentSpec, Precision

from . import configs
from .sizes import FULL, SMALL, Sizes
from .weights import plain

# The label of graphs for TensorRT, on a module that stays in FP32: the exporter then leaves attention and group norms whole.
WHOLE = Precision("fp32", "fp16", FP32.tolerance)
Make = Callable[[Sizes, int], ComponentSpec]


def filled(module: nn.Module) -> nn.Module:
    """`module` with seeded random weights, as `weights` has them."""
    with torch.no_grad():
        for name, values in module.state_dict().items():
            if values.is_floating_point():
                made = plain(name, tuple(values.shape), np.random.default_rng([0, *name.encode()]))
                values.copy_(torch.from_numpy(np.asarray(made, np.float32)))
    return module.eval().requires_grad_(False)


def autoencoder(sizes: Sizes) -> nn.Module:
    from diffusers import AutoencoderKL

    return filled(AutoencoderKL.from_config(configs.vae(sizes)))


def vision(sizes: Sizes, side: int) -> ComponentSpec:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = {key: value for key, value in configs.vision_encoder(sizes, sizes.vision, projected=True).items()
              if key not in ("architectures", "torch_dtype", "transformers_version")}
    empty = torch.randn(1, configs.TOKENS, sizes.text.width, generator=torch.Generator().manual_seed(0))
    return image_encoder(filled(CLIPVisionModelWithProjection(CLIPVisionConfig(**config))), empty, np.linspace(0, 1, configs.TOKENS),
                         mean=configs.CLIP_MEAN, std=configs.CLIP_STD, size=sizes.clip, precision=FP32)


def drawing(sizes: Sizes, side: int) -> ComponentSpec:
    from diffusers import UNet2DConditionModel

    latent = (side // FACTOR,) * 2
    return views_step(filled(UNet2DConditionModel.from_config(configs.unet(sizes))), latent, latent,
                      (configs.TOKENS, sizes.text.width), precision=FP32)


def field(number: int) -> Make:
    """One of the three queries of the reconstructed field."""
    def make(sizes: Sizes, side: int) -> ComponentSpec:
        config = sizes.large
        return field_decoder(filled(Reconstructor(config)).synthesizer, (config.channels, config.tokens * config.upsample))[number]

    return make


def denoiser(sizes: Sizes, side: int) -> ComponentSpec:
    """A step of DMV3D, rendered in parts of 2,048 rays."""
    rays = 4 * sizes.dmv3d.view_size**2
    return dmv3d(filled(DMV3D(sizes.dmv3d)), configs.TOKENS, samples=sizes.ray_samples, chunks=max(1, rays // 2048), precision=FP32)[0]


COMPONENTS: Mapping[str, Make] = {
    "vae_encoder": lambda sizes, side: vae_encoder(autoencoder(sizes), side, side, ZERO123PLUS, precision=FP32),
    "reference_encoder": lambda sizes, side: reference_encoder(autoencoder(sizes), side, precision=FP32),
    "vae_decoder": lambda sizes, side: vae_decoder(autoencoder(sizes), side, side, ZERO123PLUS, precision=FP32),
    "image_encoder": vision, "views_step": drawing,
    "reconstructor": lambda sizes, side: reconstructor(filled(Reconstructor(sizes.large)), precision=FP32),
    "field_geometry": field(0), "field_weights": field(1), "field_color": field(2), "dmv3d_step": denoiser}


def measure(spec: ComponentSpec) -> list[tuple[str, float, float]]:
    """For each case: its name, the relative error with group norms as they come, and that of the exporter's graph.

    Infinite for a graph that gives NaN. Errors: ExportError for a module that cannot be exported.
    """
    asked = parity.trials(spec, np.random.default_rng(0))
    errors = []
    with tempfile.TemporaryDirectory() as folder:
        for precision in (WHOLE, FP32):
            path = Path(folder) / precision.compute / spec.file
            path.parent.mkdir()
            write_onnx(dataclasses.replace(spec, precision=precision), path)
            errors.append(asked.compare(path).errors)
    whole, split = errors
    return [(case, whole[case].rel, split[case].rel) for case in split]


def table(found: Mapping[str, list[tuple[str, float, float]]]) -> str:
    """Markdown: a row a component and case."""
    rows = [f"| {kind} | {case} | {whole:.1e} | {split:.1e} |" for kind, cases in found.items() for case, whole, split in cases]
    return "\n".join(["| component | input | group norms as they come | as exported |", "|---|---|---:|---:|", *rows])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("--side", type=int, help="of the pictures that the autoencoder sees, in pixels (default 64, or 256 at full size)")
    parser.add_argument("--only", nargs="+", choices=tuple(COMPONENTS), default=list(COMPONENTS), metavar="NAME",
                        help=f"of {', '.join(COMPONENTS)}")
    args = parser.parse_args(arguments)
    sizes, side = (FULL, 256) if args.size == "full" else (SMALL, 64)
    print(table({kind: measure(COMPONENTS[kind](sizes, args.side or side)) for kind in args.only}))


if __name__ == "__main__":
    main()
