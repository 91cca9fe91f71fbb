"""The refiner: a UNet that denoises the six views beside the coarse views' latents, steered by the text (Sharp-It, arXiv 2412.02631).

    python -m meshwright.export.props.training.refiner --data DIR --out CHECKPOINTS      (needs pairs.pt there)
"""

import torch
from diffusers import UNet2DConditionModel
from torch.nn import functional as F

from ..world.dataset import Dataset
from .command import run
from .diffusion import STEPS, alphas_cumprod, noised
from .language import caption_states
from .loop import Schedule, fit

SIZES = dict(sample_size=(48, 32), in_channels=8, out_channels=4, block_out_channels=(64, 128, 192), layers_per_block=1, norm_num_groups=16,
             down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
             up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
             attention_head_dim=(2, 4, 6), cross_attention_dim=384, use_linear_projection=True)
SCHEDULE = Schedule(steps=3150, batch=8, lr=1e-3, matrix_lr=1e-3, warmup=150, ema=0.997)
DROP_TEXT = 0.1


def build() -> UNet2DConditionModel:
    return UNet2DConditionModel(**SIZES)


def train(data: Dataset, out) -> UNet2DConditionModel:
    pairs = torch.load(out / "pairs.pt", weights_only=True)
    states, rows = caption_states(data.labels, out / "captions.pt")
    shift, scale = pairs["mean"].view(1, -1, 1, 1), pairs["std"]
    coarse, target = ((pairs[k].float() - shift) / scale for k in ("coarse", "target"))
    model, table = build(), alphas_cumprod()

    def loss(rng):
        index = rng.integers(len(target), size=SCHEDULE.batch)
        chosen = rows[pairs["index"][index], rng.integers(rows.shape[1], size=SCHEDULE.batch)] * (rng.random(SCHEDULE.batch) >= DROP_TEXT)
        timestep = torch.from_numpy(rng.integers(STEPS, size=SCHEDULE.batch))
        x, v = noised(target[index], timestep, table)
        with torch.autocast("cpu", torch.bfloat16):
            guess = model(torch.cat([x, coarse[index]], dim=1), timestep, encoder_hidden_states=states[chosen].float()).sample
        return {"loss": F.mse_loss(guess.float(), v)}

    return fit(model, loss, SCHEDULE, out / "refiner.pt")


if __name__ == "__main__":
    run(train, __doc__)
