"""The JSON files of the published folders: their fields, with the sizes filled in."""

from __future__ import annotations

from typing import Any

import numpy as np

from .sizes import Sizes, Transformer

Config = dict[str, Any]
CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
TOKENS = 77
# The first factors as published; the others are seeded here.
RAMPS = {"1.1": [0.0, 0.2060058], "1.2": [0.0030183, 0.2204633, 0.2152784]}


def unet(sizes: Sizes, channels: int = 4) -> Config:
    """Stable Diffusion 2's UNet."""
    cross, plain = "CrossAttnDownBlock2D", "DownBlock2D"
    return {
        "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.20.2", "act_fn": "silu",
        "attention_head_dim": list(sizes.unet_heads), "block_out_channels": list(sizes.unet_channels), "center_input_sample": False,
        "cross_attention_dim": sizes.text.width, "down_block_types": [cross, cross, cross, plain], "downsample_padding": 1,
        "dual_cross_attention": False, "flip_sin_to_cos": True, "freq_shift": 0, "in_channels": channels,
        "layers_per_block": sizes.unet_layers, "mid_block_scale_factor": 1, "norm_eps": 1e-05, "norm_num_groups": sizes.groups,
        "num_class_embeds": None, "only_cross_attention": False, "out_channels": 4, "sample_size": 96,
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
        "upcast_attention": True, "use_linear_projection": True}


def controlnet(sizes: Sizes) -> Config:
    """The UNet's encoder with a picture as further input."""
    absent = ("_class_name", "out_channels", "up_block_types", "sample_size", "center_input_sample", "dual_cross_attention")
    shared = {key: value for key, value in unet(sizes).items() if key not in absent}
    return {"_class_name": "ControlNetModel", **shared, "class_embed_type": None,
            "conditioning_channels": 3, "conditioning_embedding_out_channels": list(sizes.control_channels),
            "controlnet_conditioning_channel_order": "rgb", "global_pool_conditions": False, "projection_class_embeddings_input_dim": None,
            "resnet_time_scale_shift": "default"}


def vae(sizes: Sizes) -> Config:
    """Stable Diffusion's autoencoder."""
    return {
        "_class_name": "AutoencoderKL", "_diffusers_version": "0.20.2", "act_fn": "silu", "block_out_channels": list(sizes.vae_channels),
        "down_block_types": ["DownEncoderBlock2D"] * 4, "force_upcast": True, "in_channels": 3, "latent_channels": 4,
        "layers_per_block": sizes.vae_layers, "norm_num_groups": sizes.groups, "out_channels": 3, "sample_size": 256,
        "scaling_factor": 0.18215, "up_block_types": ["UpDecoderBlock2D"] * 4}


def text_encoder(sizes: Sizes, shape: Transformer, *, projected: bool) -> Config:
    """Zero123++'s (GELU, no projection) or Shap-E's. The special ids are those of old releases, which say 0 and 2 for all of CLIP."""
    return {
        "architectures": ["CLIPTextModelWithProjection" if projected else "CLIPTextModel"], "attention_dropout": 0.0,
        "bos_token_id": 0, "dropout": 0.0, "eos_token_id": 2, "hidden_act": "quick_gelu" if projected else "gelu",
        "hidden_size": shape.width, "initializer_factor": 1.0, "initializer_range": 0.02, "intermediate_size": shape.inner,
        "layer_norm_eps": 1e-05, "max_position_embeddings": TOKENS, "model_type": "clip_text_model",
        "num_attention_heads": shape.heads, "num_hidden_layers": shape.layers, "pad_token_id": 1,
        "projection_dim": shape.width if projected else shape.width // 2, "torch_dtype": "float32" if projected else "float16",
        "transformers_version": "4.27.3", "vocab_size": sizes.vocabulary}


def vision_encoder(sizes: Sizes, shape: Transformer, *, projected: bool) -> Config:
    """Zero123++'s ViT-H (projected to the text's width) or the ViT-L of Shap-E's picture variant."""
    return {
        "architectures": ["CLIPVisionModelWithProjection" if projected else "CLIPVisionModel"], "attention_dropout": 0.0,
        "dropout": 0.0, "hidden_act": "gelu" if projected else "quick_gelu", "hidden_size": shape.width, "image_size": sizes.clip,
        "initializer_factor": 1.0, "initializer_range": 0.02, "intermediate_size": shape.inner, "layer_norm_eps": 1e-05,
        "model_type": "clip_vision_model", "num_attention_heads": shape.heads, "num_channels": 3, "num_hidden_layers": shape.layers,
        "patch_size": sizes.patch, "projection_dim": sizes.text.width if projected else 768,
        "torch_dtype": "float16" if projected else "float32", "transformers_version": "4.31.0"}


def prior(sizes: Sizes, *, image: bool) -> Config:
    """Shap-E's PriorTransformer, for a text or for a picture."""
    heads, width = sizes.prior_image_heads if image else sizes.prior_heads
    condition = sizes.shap_e_vision.width if image else sizes.shap_e_text.width
    return {
        "_class_name": "PriorTransformer", "_diffusers_version": "0.18.0.dev0", "added_emb_type": None, "additional_embeddings": 0,
        "attention_head_dim": width, "clip_embed_dim": 2 * sizes.latent_width, "dropout": 0.0, "embedding_dim": sizes.latent_width,
        "embedding_proj_dim": condition, "embedding_proj_norm_type": "layer" if image else None, "encoder_hid_proj_type": None,
        "norm_in_type": "layer", "num_attention_heads": heads, "num_embeddings": sizes.rows, "num_layers": sizes.prior_layers,
        "time_embed_act_fn": "gelu", "time_embed_dim": 4 * heads * width}


def shap_e_renderer(sizes: Sizes) -> Config:
    """Its decoder and renderer."""
    hidden = sizes.rows // 4
    return {
        "_class_name": "ShapERenderer", "_diffusers_version": "0.18.0.dev0", "act_fn": "swish", "background": [255.0, 255.0, 255.0],
        "d_hidden": hidden, "d_latent": sizes.latent_width, "insert_direction_at": 4, "n_hidden_layers": 6, "n_output": 12,
        "param_names": [f"nerstf.mlp.{k}.weight" for k in range(4)], "param_shapes": [[hidden, 93], *[[hidden, hidden]] * 3]}


def euler_ancestral() -> Config:
    """The scheduler file of Zero123++, whose spacing every published script overrides."""
    return {
        "_class_name": "EulerAncestralDiscreteScheduler", "_diffusers_version": "0.20.2", "beta_end": 0.012, "beta_schedule": "linear",
        "beta_start": 0.00085, "clip_sample": False, "num_train_timesteps": 1000, "prediction_type": "v_prediction",
        "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1, "timestep_spacing": "linspace", "trained_betas": None}


def heun() -> Config:
    """Shap-E's scheduler file."""
    return {
        "_class_name": "HeunDiscreteScheduler", "_diffusers_version": "0.18.0.dev0", "beta_end": 0.02, "beta_schedule": "exp",
        "beta_start": 0.0001, "clip_sample": True, "clip_sample_range": 1.0, "num_train_timesteps": 1024, "prediction_type": "sample",
        "steps_offset": 0, "timestep_spacing": "linspace", "trained_betas": None, "use_karras_sigmas": True}


def image_processor(size: int, *, resample: int = 3, mean: list[float] | None = None, std: list[float] | None = None) -> Config:
    """resample : 3 bicubic, 2 bilinear. mean, std : CLIP's unless given."""
    return {
        "crop_size": {"height": size, "width": size}, "do_center_crop": True, "do_convert_rgb": True, "do_normalize": True,
        "do_rescale": True, "do_resize": True, "image_mean": mean or CLIP_MEAN, "image_processor_type": "CLIPImageProcessor",
        "image_std": std or CLIP_STD, "resample": resample, "rescale_factor": 1 / 255, "size": {"shortest_edge": size}}


def zero123plus_index(version: str) -> Config:
    """`model_index.json` of Zero123++ 1.1 or 1.2, with the factors by which a picture's embedding is added to each token."""
    start = RAMPS[version]
    others = np.random.default_rng(0).uniform(0.15, 0.25, TOKENS - len(start))
    return {
        "_class_name": "Zero123PlusPipeline", "_diffusers_version": "0.20.2",
        "feature_extractor_clip": ["transformers", "CLIPImageProcessor"], "feature_extractor_vae": ["transformers", "CLIPImageProcessor"],
        "ramping_coefficients": [*start, *(round(float(x), 7) for x in others)], "safety_checker": [None, None],
        "scheduler": ["diffusers", "EulerAncestralDiscreteScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"], "vision_encoder": ["transformers", "CLIPVisionModelWithProjection"]}


def shap_e_index(*, image: bool) -> Config:
    """`model_index.json` of Shap-E's two variants."""
    condition = ({"image_encoder": ["transformers", "CLIPVisionModel"], "image_processor": ["transformers", "CLIPImageProcessor"]} if image
                 else {"text_encoder": ["transformers", "CLIPTextModelWithProjection"], "tokenizer": ["transformers", "CLIPTokenizer"]})
    return {
        "_class_name": "ShapEImg2ImgPipeline" if image else "ShapEPipeline", "_diffusers_version": "0.18.0.dev0", **condition,
        "prior": ["diffusers", "PriorTransformer"], "scheduler": ["diffusers", "HeunDiscreteScheduler"],
        "shap_e_renderer": ["shap_e", "ShapERenderer"]}
