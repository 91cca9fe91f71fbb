"""The refiner: a UNet that denoises the six views beside the coarse views' latents, steered by the text (Sharp-It, arXiv 2412.02631)."""

import torch
from diffusers import UNet2DConditionModel

from .diffusion import STEPS, alphas_cumprod, first_steps, mean_where, noised
from .language import encode
from .loop import Schedule, fit
from .pairs import Pairs
from .run import Run

SIZES = dict(sample_size=(48, 32), in_channels=8, out_channels=4, block_out_channels=(64, 128, 192), layers_per_block=1, norm_num_groups=16,
             down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
             up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
             attention_head_dim=(2, 4, 6), cross_attention_dim=384, use_linear_projection=True)
SCHEDULE = Schedule(steps=3150, batch=8, lr=1e-3, matrix_lr=1e-3, warmup=150, ema=0.997)
DROP_TEXT, FIRST_STEP = 0.1, 0.8


def build() -> UNet2DConditionModel:
    return UNet2DConditionModel(**SIZES)


def train(run: Run, schedule: Schedule = SCHEDULE) -> UNet2DConditionModel:
    """refiner.pt; needs pairs. The pack refines in one step, so it is the first step that is practised most."""
    pairs = Pairs.open(run.pairs)
    coarse, target = (pairs.scaled(name, run.out, run.device) for name in ("coarse", "views"))
    states = encode(["", *pairs.captions.tolist()], device=run.device).to(run.device)
    model, table = build().to(run.device), alphas_cumprod().to(run.device)

    def loss(rng):
        rows = rng.integers(len(pairs), size=schedule.batch)
        said = run.tensor((rows + 1) * (rng.random(schedule.batch) >= DROP_TEXT))
        timestep, rows = run.tensor(first_steps(rng, schedule.batch, FIRST_STEP)), run.tensor(rows)
        x, v = noised(target[rows], timestep, table)
        with run.half():
            guess = model(torch.cat([x, coarse[rows]], dim=1), timestep, encoder_hidden_states=states[said].float()).sample
        error = (guess.float() - v).square().mean(dim=(1, 2, 3))
        return {"loss": error.mean(), "first": mean_where(error.detach(), timestep == STEPS - 1)}

    return fit(model, loss, schedule, run.out / "refiner.pt")
