"""The Shap-E prior: latent rows from the token states of a text, by v-prediction.

    python -m meshwright.export.props.training.prior --data DIR --out CHECKPOINTS      (needs shap_e.pt in CHECKPOINTS)
"""

import numpy as np
import torch
from diffusers import PriorTransformer
from torch import Tensor
from torch.nn import functional as F

from ..world.dataset import Dataset
from . import shap_e
from .command import run
from .diffusion import STEPS, alphas_cumprod, noised
from .language import caption_states
from .loop import Schedule, averaged, fit

SCHEDULE = Schedule(steps=2350, batch=32, lr=1e-3, matrix_lr=2e-3, warmup=150, ema=0.997)
DROP_TEXT = 0.1


def build() -> PriorTransformer:
    """Shap-E's prior at small size; the condition is a row of token states, as in its image-conditioned form."""
    return PriorTransformer(num_attention_heads=6, attention_head_dim=32, num_layers=6, embedding_dim=shap_e.CONFIG.latent_width,
                            num_embeddings=shap_e.CONFIG.rows, additional_embeddings=0, time_embed_act_fn="gelu", norm_in_type="layer",
                            embedding_proj_norm_type="layer", encoder_hid_proj_type=None, added_emb_type=None, time_embed_dim=768,
                            embedding_proj_dim=384, clip_embed_dim=shap_e.CONFIG.latent_width)


def encode_all(data: Dataset, checkpoint) -> Tensor:
    """Latent rows of every prop (n, rows, width) float32 by the trained autoencoder."""
    encoder = averaged(shap_e.Autoencoder(), checkpoint).encoder
    parts = []
    for start in range(0, len(data), 50):
        index = np.arange(start, min(start + 50, len(data)))
        parts.append(encoder(shap_e.surface_batch(data, index, np.arange(512) * 2)))
    return torch.cat(parts)


def train(data: Dataset, out) -> PriorTransformer:
    latents = encode_all(data, out / "shap_e.pt")
    states, rows = caption_states(data.labels, out / "captions.pt")
    model, table = build(), alphas_cumprod()

    def loss(rng):
        index = rng.integers(len(data), size=SCHEDULE.batch)
        chosen = rows[index, rng.integers(rows.shape[1], size=SCHEDULE.batch)] * (rng.random(SCHEDULE.batch) >= DROP_TEXT)
        timestep = torch.from_numpy(rng.integers(STEPS, size=SCHEDULE.batch))
        x, target = noised(latents[index], timestep, table)
        with torch.autocast("cpu", torch.bfloat16):
            guess = model(x, timestep, proj_embedding=states[chosen].float()).predicted_image_embedding
        return {"loss": F.mse_loss(guess.float(), target)}

    return fit(model, loss, SCHEDULE, out / "prior.pt")


if __name__ == "__main__":
    run(train, __doc__)
