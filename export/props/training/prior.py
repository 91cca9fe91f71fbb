"""The Shap-E prior: latent rows from the token states of a text, by v-prediction."""

import torch
from diffusers import PriorTransformer
from torch.nn import functional as F

from ..world.dataset import SURFACE
from . import shap_e
from .diffusion import STEPS, alphas_cumprod, noised
from .language import Captions
from .loop import Schedule, averaged, fit
from .run import Run

SCHEDULE = Schedule(steps=2350, batch=32, lr=1e-3, matrix_lr=2e-3, warmup=150, ema=0.997)
DROP_TEXT, CAPTIONS = 0.1, 20_000


def build() -> PriorTransformer:
    """Shap-E's prior at small size; the condition is a row of token states, as in its image-conditioned form."""
    return PriorTransformer(num_attention_heads=6, attention_head_dim=32, num_layers=6, embedding_dim=shap_e.CONFIG.latent_width,
                            num_embeddings=shap_e.CONFIG.rows, additional_embeddings=0, time_embed_act_fn="gelu", norm_in_type="layer",
                            embedding_proj_norm_type="layer", encoder_hid_proj_type=None, added_emb_type=None, time_embed_dim=768,
                            embedding_proj_dim=384, clip_embed_dim=shap_e.CONFIG.latent_width)


def train(run: Run, schedule: Schedule = SCHEDULE) -> PriorTransformer:
    """prior.pt; needs shap_e.pt. Every step draws a caption, a shape of its family in its colours, and encodes that."""
    captions = Captions.drawn(CAPTIONS, run.out / "captions.pt", run.device)
    encoder = averaged(shap_e.Autoencoder(), run.out / "shap_e.pt").encoder.to(run.device)
    model, table = build().to(run.device), alphas_cumprod().to(run.device)

    def loss(rng):
        looks, states = captions.draw(rng, schedule.batch, DROP_TEXT)
        surface = run.data.batch(rng, looks).surface(run.columns(rng, (0, SURFACE, 512)))
        timestep = run.tensor(rng.integers(STEPS, size=schedule.batch))
        with run.half():
            with torch.no_grad():
                latents = encoder(surface).float()
            x, target = noised(latents, timestep, table)
            guess = model(x, timestep, proj_embedding=states).predicted_image_embedding
        return {"loss": F.mse_loss(guess.float(), target)}

    return fit(model, loss, schedule, run.out / "prior.pt")
