"""Writes the published checkpoints' files with seeded random weights: same folders, names, formats and, at full size, shapes.

    python -m benchmarks.full_size.published --out DIR [--size small|full] [--only NAME ...]

The weights are noise, shaped so that both fields hold a ball (`fields`): the export layer and the whole pipeline
run on them, tests at the small size and `full_size` at the published one. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from . import configs
from .fields import coarse_ball, reconstructed_ball
from .models import nerf_shapes, shapes_of
from .sizes import FULL, SMALL, Sizes
from .tokenizer import write_tokenizer
from .weights import Shapes, Shaping, Weights, write_pickle, write_safetensors

LIGHTNING_PREFIX = "lrm_generator."
# How the attention of the autoencoder was spelled in files of older diffusers releases.
OLD_ATTENTION = {"to_q.": "query.", "to_k.": "key.", "to_v.": "value.", "to_out.0.": "proj_attn."}


def shap_e(folder: Path, sizes: Sizes = SMALL, seed: int | None = 0, *, trailing_comma: bool = True) -> Path:
    """`openai/shap-e`: a text's prior and the decoder. trailing_comma : in its scheduler's JSON, as one published revision has it."""
    _json(folder / "model_index.json", configs.shap_e_index(image=False))
    _json(folder / "scheduler" / "scheduler_config.json", configs.heun(), trailing_comma)
    write_tokenizer(folder / "tokenizer", sizes.vocabulary)
    text = configs.text_encoder(sizes, sizes.shap_e_text, projected=True)
    _transformers(folder / "text_encoder", text, seed)
    _diffusers(folder / "prior", configs.prior(sizes, image=False), seed)
    _renderer(folder, sizes, seed)
    return folder


def shap_e_img2img(folder: Path, sizes: Sizes = SMALL, seed: int | None = 0) -> Path:
    """`openai/shap-e-img2img`: a picture's prior and the decoder."""
    _json(folder / "model_index.json", configs.shap_e_index(image=True))
    _json(folder / "scheduler" / "scheduler_config.json", configs.heun())
    _json(folder / "image_processor" / "preprocessor_config.json", configs.image_processor(sizes.clip))
    _transformers(folder / "image_encoder", configs.vision_encoder(sizes, sizes.shap_e_vision, projected=False), seed)
    _diffusers(folder / "prior", configs.prior(sizes, image=True), seed)
    _renderer(folder, sizes, seed)
    return folder


def zero123plus(folder: Path, sizes: Sizes = SMALL, seed: int | None = 0, *, version: str = "1.2") -> Path:
    """`sudo-ai/zero123plus-v1.1` or `-v1.2`, in FP16: 1.2 as safetensors, 1.1 as pickles with names of older releases."""
    old = version == "1.1"
    _json(folder / "model_index.json", configs.zero123plus_index(version))
    _json(folder / "scheduler" / "scheduler_config.json", configs.euler_ancestral())
    _json(folder / "feature_extractor_clip" / "preprocessor_config.json", configs.image_processor(sizes.clip))
    reference = configs.image_processor(sizes.reference, resample=2, mean=[0.5] * 3, std=[0.8] * 3)
    _json(folder / "feature_extractor_vae" / "preprocessor_config.json", reference)
    write_tokenizer(folder / "tokenizer", sizes.vocabulary)
    options = {"dtype": "float16", "pickled": old}
    _transformers(folder / "text_encoder", configs.text_encoder(sizes, sizes.text, projected=False), seed, **options)
    _transformers(folder / "vision_encoder", configs.vision_encoder(sizes, sizes.vision, projected=True), seed, **options)
    _diffusers(folder / "vae", configs.vae(sizes), seed, shaping=_narrow_posterior, spelling=OLD_ATTENTION if old else None, **options)
    _diffusers(folder / "unet", configs.unet(sizes), seed, **options)
    return folder


def refiner(folder: Path, sizes: Sizes = SMALL, seed: int | None = 0) -> Path:
    """`YiftachEde/Sharp-It`: a UNet with eight input channels and nothing else, FP16."""
    return _diffusers(folder, configs.unet(sizes, channels=8), seed, dtype="float16")


def controlnet(folder: Path, sizes: Sizes = SMALL, seed: int | None = 0) -> Path:
    """`sudo-ai/controlnet-zp11-depth-v1` and its like, FP16."""
    return _diffusers(folder, configs.controlnet(sizes), seed, dtype="float16")


def white_unet(file: Path, sizes: Sizes = SMALL, seed: int | None = 0) -> Path:
    """InstantMesh's `diffusion_pytorch_model.bin`: the weights of a Zero123++ UNet alone, FP16."""
    return write_pickle(file, Weights("white", shapes_of(configs.unet(sizes)), seed, "float16"))


def instant_mesh(file: Path, sizes: Sizes = SMALL, seed: int | None = 0, *, variant: str = "large") -> Path:
    """`instant_mesh_base.ckpt` or `_large`: a Lightning checkpoint in FP32, the image encoder within."""
    return _instant(file, shapes_of(getattr(sizes, variant)), f"mesh-{variant}", seed)


def instant_nerf(file: Path, sizes: Sizes = SMALL, seed: int | None = 0, *, variant: str = "large") -> Path:
    """`instant_nerf_base.ckpt` or `_large`: one network for density and colour in place of the four of the mesh files."""
    return _instant(file, nerf_shapes(getattr(sizes, variant)), f"nerf-{variant}", seed)


# What both export commands need, at the place in the output folder where `full_size` looks for it.
LAYOUTS: Mapping[str, Callable[[Path, Sizes, int | None], Path]] = {
    "shap-e": shap_e, "zero123plus-v1.2": zero123plus, "Sharp-It": refiner, "diffusion_pytorch_model.bin": white_unet,
    "instant_mesh_large.ckpt": instant_mesh, "instant_nerf_large.ckpt": instant_nerf}
OTHERS: Mapping[str, Callable[[Path, Sizes, int | None], Path]] = {
    "shap-e-img2img": shap_e_img2img, "zero123plus-v1.1": partial(zero123plus, version="1.1"), "controlnet": controlnet,
    "instant_mesh_base.ckpt": partial(instant_mesh, variant="base"), "instant_nerf_base.ckpt": partial(instant_nerf, variant="base")}


def write(out: Path, sizes: Sizes = SMALL, names: Sequence[str] = tuple(LAYOUTS), seed: int | None = 0,
          on_written: Callable[[str, float], None] | None = None) -> Path:
    """Each of `names` (keys of LAYOUTS and OTHERS) into `out`; what is there already stays.

    seed : None for files of the same names and shapes that hold no weights; on_written : name and seconds
    """
    for name in names:
        target, began = out / name, time.perf_counter()
        if target.exists():
            continue
        partly = out / f".{name}.part"
        (LAYOUTS | OTHERS)[name](partly, sizes, seed)
        partly.rename(target)
        if on_written:
            on_written(name, time.perf_counter() - began)
    return out


def _json(path: Path, document: dict, trailing_comma: bool = False) -> None:
    text = json.dumps(document, indent=2, sort_keys=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((text.removesuffix("\n}") + ",\n}" if trailing_comma else text) + "\n", "utf-8")


def _diffusers(folder: Path, config: dict, seed: int | None, *, dtype: str = "float32", pickled: bool = False,
               shaping: Shaping | None = None, spelling: Mapping[str, str] | None = None,
               extras: Mapping[str, np.ndarray] | None = None) -> Path:
    _json(folder / "config.json", config)
    shapes = _respelled(shapes_of(config), spelling or {})
    weights = Weights(config["_class_name"] + str(config.get("in_channels", "")), shapes, seed, dtype, shaping, extras)
    if pickled or seed is None:
        write_pickle(folder / "diffusion_pytorch_model.bin", weights)
    else:
        write_safetensors(folder / "diffusion_pytorch_model.safetensors", weights)
    return folder


def _transformers(folder: Path, config: dict, seed: int | None, *, dtype: str = "float32", pickled: bool = False) -> Path:
    _json(folder / "config.json", config)
    extras = None
    if pickled:
        # Files of older transformers releases carry the position numbers too.
        text = "max_position_embeddings" in config
        count = configs.TOKENS if text else (config["image_size"] // config["patch_size"]) ** 2 + 1
        extras = {f"{'text' if text else 'vision'}_model.embeddings.position_ids": np.arange(count)[None]}
    weights = Weights(config["model_type"], shapes_of(config), seed, dtype, extras=extras)
    if pickled or seed is None:
        write_pickle(folder / "pytorch_model.bin", weights)
    else:
        write_safetensors(folder / "model.safetensors", weights)
    return folder


def _renderer(folder: Path, sizes: Sizes, seed: int) -> None:
    # The marching-cubes tables of the original are not ours to write: zeros of their size stand here.
    tables = {"mesh_decoder.cases": np.zeros((256, 5, 3), np.int64), "mesh_decoder.masks": np.zeros((256, 5), bool),
              "void.background": np.full(3, 255, np.float32)}
    _diffusers(folder / "shap_e_renderer", configs.shap_e_renderer(sizes), seed, shaping=coarse_ball, extras=tables)


def _instant(file: Path, shapes: Shapes, label: str, seed: int) -> Path:
    return write_pickle(file, Weights(label, shapes, seed, shaping=reconstructed_ball), prefix=LIGHTNING_PREFIX, nested=True)


def _narrow_posterior(name: str, values: np.ndarray) -> np.ndarray:
    """Latents hardly vary around their mean, as in a trained autoencoder: log variances near -12."""
    if name == "quant_conv.bias":
        values[len(values) // 2 :] -= 12
    return values


def _respelled(shapes: Shapes, spelling: Mapping[str, str]) -> Shapes:
    def spelled(name: str) -> str:
        for new, old in spelling.items():
            name = name.replace(f".{new}", f".{old}")
        return name

    return {spelled(name): shape for name, shape in shapes.items()}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write into; what is there already stays")
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("--only", nargs="+", choices=[*LAYOUTS, *OTHERS], default=list(LAYOUTS), metavar="NAME",
                        help=f"of {', '.join([*LAYOUTS, *OTHERS])}")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    write(args.out, FULL if args.size == "full" else SMALL, args.only, args.seed,
          lambda name, seconds: print(f"{name}: {seconds:.1f} s", file=sys.stderr, flush=True))


if __name__ == "__main__":
    main()
