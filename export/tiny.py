"""A complete `sharp-it` or `dmv3d` pack of random weights, some hundred kilobytes: for tests, of users' own code as well.

    from meshwright.export import tiny
    tiny.build("packs/tiny")

Its coarse and its final shape are dented balls, so that the whole pipeline runs to a closed mesh.
"""

from __future__ import annotations

import json
import os
import string
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .components.dmv3d import dmv3d
from .components.field_decoder import field_decoder
from .components.reconstructor import reconstructor
from .components.refiner import refiner
from .components.shap_e_decoder import shap_e_decoder
from .components.shap_e_prior import shap_e_prior
from .components.text_encoder import text_encoder
from .components.vae import Scaling, vae_decoder, vae_encoder
from .models.dmv3d import DMV3D, DMV3DConfig, PlaneField
from .models.field import FieldDecoder
from .models.reconstructor import Reconstructor, ReconstructorConfig
from .models.shap_e import ShapEDecoder, ShapEDecoderConfig
from .pack.writer import write_pack
from .spec import FP32, ComponentSpec, Precision

VIEW, ROWS, COLUMNS = 32, 3, 2
LATENT = (VIEW * ROWS // 8, VIEW * COLUMNS // 8)
TOKENS, WIDTH = 16, 16
SHAP_E = ShapEDecoderConfig(latent_width=8, hidden=4, frequencies=2, direction_width=0, layers=6, outputs=6)
RECONSTRUCTOR = ReconstructorConfig(view_size=VIEW, patch=16, position_grid=2, encoder_width=16, encoder_heads=2, encoder_depth=1,
                                    width=16, heads=2, depth=1, tokens=4, upsample=2, channels=4, hidden=8)
DENOISER = DMV3DConfig(view_size=16, patch=8, position_grid=2, encoder_width=16, encoder_heads=2, encoder_depth=1, width=16, heads=2,
                       depth=1, tokens=4, upsample=2, channels=4, hidden=8, text_width=WIDTH, time_width=8)
WORDS = """a an the of with and on in red green blue yellow white black brown grey orange purple pink wooden small tall
chair stool table lamp mug house tower tree sword car legs seat roof top""".split()
SCHEDULE = {"kind": "ddim", "prediction": "v", "betas": "cosine", "train_steps": 1000, "spacing": "trailing"}


class CoarseBall(ShapEDecoder):
    """A ball of radius 0.6 that the random network dents; positive inside."""

    def field(self, weights: tuple[Tensor, ...], points: Tensor) -> tuple[Tensor, Tensor]:
        sdf, color = super().field(weights, points)
        return torch.tanh(0.6 - points.norm(dim=-1, keepdim=True) + 0.1 * sdf), color


class Ball(FieldDecoder):
    """The same for the reconstructed field; negative inside."""

    def geometry(self, planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        sdf, deformation = super().geometry(planes, points)
        return points.norm(dim=-1, keepdim=True) - 0.6 + 0.05 * torch.tanh(sdf), deformation


class PlaneBall(PlaneField):
    """The same for the field of DMV3D's planes."""

    def forward(self, planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        sdf, color = super().forward(planes, points)
        return points.norm(dim=-1, keepdim=True) - 0.6 + 0.05 * torch.tanh(sdf), color


def build(path: str | os.PathLike[str], seed: int = 0, *, precision: Precision = FP32, recipe: str = "sharp-it") -> Path:
    """Write the pack to the folder `path` and return it. The same seed gives the same weights.

    recipe : "sharp-it" or "dmv3d", each in a pack of its own
    """
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(seed)
        tokenizer = Path(folder) / "tokenizer.json"
        tokenizer.write_text(json.dumps(word_piece(vocabulary())), "utf-8")
        parts, about = (components, manifest) if recipe == "sharp-it" else (dmv3d_components, dmv3d_manifest)
        write_pack(path, parts(precision), about(seed), {"tokenizer.json": tokenizer}, seed=seed)
    return Path(path)


def components(precision: Precision = FP32) -> list[ComponentSpec]:
    """All eleven, with weights from PyTorch's current random state."""
    vae, scaling = _vae(), Scaling(shift=(0.1, -0.1, 0.0, 0.2), gain=1.25)
    planes = (RECONSTRUCTOR.channels, RECONSTRUCTOR.tokens * RECONSTRUCTOR.upsample)
    picture = (VIEW * ROWS, VIEW * COLUMNS)
    return [text_encoder(_bert(), TOKENS, precision=precision),
            shap_e_prior(_prior(), (TOKENS, WIDTH), precision=precision),
            *shap_e_decoder(CoarseBall(SHAP_E), precision=precision),
            vae_encoder(vae, *picture, scaling, precision=precision),
            vae_decoder(vae, *picture, scaling, precision=precision),
            refiner(_unet(), LATENT, (TOKENS, WIDTH), precision=precision),
            reconstructor(Reconstructor(RECONSTRUCTOR), precision=precision),
            *field_decoder(Ball(RECONSTRUCTOR.channels, RECONSTRUCTOR.hidden), planes)]


def manifest(seed: int = 0) -> dict[str, Any]:
    """What `write_pack` is told of this pack."""
    loop = {"schedule": SCHEDULE, "steps": 3, "guidance": 2.0, "unconditional": "empty"}
    return {
        "name": "tiny", "version": str(seed), "recipe": "sharp-it",
        "license": {"id": "Apache-2.0", "commercial_use": "yes", "notes": ["random weights, for tests"]},
        "sources": [{"name": f"random, seed {seed}", "license": "Apache-2.0"}],
        "text": {"length": TOKENS, "tokenizer": "tokenizer.json"},
        "prior": {"latent_shape": [1, SHAP_E.rows, SHAP_E.latent_width], **loop},
        "refiner": {"latent_shape": [1, 4, *LATENT], **loop},
        "coarse": {"resolution": 16, "bound": 1.0, "rotation": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "scale": 1.0},
        "views": {"size": VIEW, "rows": ROWS, "columns": COLUMNS, "azimuths": [30, 90, 150, 210, 270, 330],
                  "elevations": [20, -10, 20, -10, 20, -10], "fov": 30.0, "radius": 4.0, "background": 1.0},
        "reconstructor": {"view_size": VIEW}, "grid": {"resolution": 16, "extent": 2.1},
        "texture_from": "views", "metres_per_unit": 1.0}


def dmv3d_components(precision: Precision = FP32) -> list[ComponentSpec]:
    """The text encoder and DMV3D's three, whose blocks are open, as after some training."""
    model = DMV3D(DENOISER)
    model.field = PlaneBall(DENOISER.channels, DENOISER.hidden)
    for block in model.layers:
        torch.nn.init.normal_(block.modulation[1].bias, std=0.3)
    return [text_encoder(_bert(), TOKENS, precision=precision), *dmv3d(model, TOKENS, samples=8, precision=precision)]


def dmv3d_manifest(seed: int = 0) -> dict[str, Any]:
    """What `write_pack` is told of a pack of DMV3D alone."""
    shared = {name: value for name, value in manifest(seed).items() if name not in ("prior", "refiner", "coarse")}
    return {**shared, "recipe": "dmv3d", "texture_from": "field",
            "posed_views": {"latent_shape": [1, 4, 3, 16, 16], "schedule": {**SCHEDULE, "prediction": "sample"}, "steps": 3,
                            "guidance": 2.0, "unconditional": "empty"},
            "circle": {"azimuths": [0, 90, 180, 270], "elevations": [20, 20, 20, 20], "fov": 50.0, "radius": 2.4},
            "picture": {"background": 1.0, "encoder": {"size": 16, "resample": "bicubic"}}}


def vocabulary() -> dict[str, int]:
    """Piece to id: the special ones, every letter and digit at the start and inside of a word, and some words."""
    characters = string.ascii_lowercase + string.digits
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *characters, *(f"##{c}" for c in characters), *".,'-!?", *WORDS]
    return {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}


def word_piece(vocab: dict[str, int]) -> dict[str, Any]:
    """The `tokenizer.json` of an uncased BERT with that vocabulary."""
    frame = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
             {"SpecialToken": {"id": "[SEP]", "type_id": 0}}]
    special = {name: {"id": name, "ids": [vocab[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                       "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": frame, "pair": frame, "special_tokens": special},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocab}}


def _bert():
    from transformers import BertConfig, BertModel

    config = BertConfig(vocab_size=len(vocabulary()), hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=32, max_position_embeddings=TOKENS)
    return BertModel(config, add_pooling_layer=False)


def _prior():
    from diffusers import PriorTransformer

    return PriorTransformer(
        num_attention_heads=2, attention_head_dim=8, num_layers=1, embedding_dim=SHAP_E.latent_width,
        num_embeddings=SHAP_E.rows, additional_embeddings=0, time_embed_act_fn="gelu", norm_in_type="layer",
        encoder_hid_proj_type=None, added_emb_type=None, embedding_proj_dim=WIDTH, clip_embed_dim=SHAP_E.latent_width)


def _vae():
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(4, 4, 4, 4), layers_per_block=1, latent_channels=4, norm_num_groups=2, mid_block_add_attention=False,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, sample_size=VIEW)


def _unet():
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=LATENT, in_channels=8, out_channels=4, block_out_channels=(8,), layers_per_block=1, norm_num_groups=4,
        down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), attention_head_dim=2,
        cross_attention_dim=WIDTH, use_linear_projection=True)
