"""A picture in place of a prompt for the Shap-E prior: its states steer the frozen prior as the states of a caption would.

    python -m meshwright.export.props.training.picture_prior --pairs FOLDER --out CHECKPOINTS      (needs prior.pt and views.pt there)

The states to hit are those of one plain caption a prop. What counts is what the prior makes of them, so half of the loss is the
difference between its predictions from the picture and from the caption, where the latent is noise.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ..families import SECOND_PART
from ..world import Prop, make_prop
from . import language, prior, shap_e
from .command import run_on_pictures
from .diffusion import STEPS
from .loop import Schedule, averaged, fit
from .picture_encoder import PictureEncoder
from .picture_pairs import PicturePairs
from .views import ViewsModel, batch_of

SCHEDULE = Schedule(steps=1500, batch=16, lr=1e-3, matrix_lr=1e-3, warmup=50, ema=0.99)
# The noise levels at which the prior's predictions are compared: there the latent is noise alone, and the condition decides.
NOISY = 0.9


def build() -> PictureEncoder:
    return PictureEncoder(summaries=language.LENGTH, patches=False, depth=2, even=False)


def plain_caption(prop: Prop) -> str:
    """The caption that says the most in the fewest words."""
    if prop.first == prop.second:
        return f"a {prop.first} {prop.family}"
    return f"a {prop.first} {prop.family} with {prop.second} {SECOND_PART[prop.family]}"


def start(model: PictureEncoder, views: ViewsModel) -> PictureEncoder:
    """From the views' encoder: what it sees is the same, what it says of it is not."""
    own = model.state_dict()
    seen = {key: value for key, value in views.encoder.state_dict().items() if key.startswith(("stem.", "blocks.")) and key in own}
    model.load_state_dict(seen, strict=False)
    return model


def caption_states(seeds, cache: Path) -> tuple[Tensor, Tensor]:
    """States (k, 32, 384) of all different captions and each prop's row in them (n,)."""
    captions = [plain_caption(make_prop(int(seed))) for seed in seeds]
    unique = {text: i for i, text in enumerate(dict.fromkeys(captions))}
    if not cache.exists() or len(torch.load(cache, weights_only=True)) != len(unique):
        torch.save(language.encode(list(unique)), cache)
    return torch.load(cache, weights_only=True).float(), torch.tensor([unique[text] for text in captions])


def train(pairs: Path, out: Path, schedule: Schedule = SCHEDULE) -> PictureEncoder:
    data = PicturePairs.open(pairs)
    states, rows = caption_states(data.seeds, out / "plain_captions.pt")
    model, text = start(build(), averaged(ViewsModel(), out / "views.pt")), averaged(prior.build(), out / "prior.pt")
    spread, size = states.square().mean(), (shap_e.CONFIG.rows, shap_e.CONFIG.latent_width)

    def loss(rng):
        chosen, picture = batch_of(data, rng, schedule.batch)
        wanted = states[rows[chosen]]
        with torch.autocast("cpu", torch.bfloat16):
            said = model(picture)
        off = F.mse_loss(said.float(), wanted) / spread
        part = slice(0, schedule.batch // 4)
        timestep = torch.from_numpy(rng.integers(int(STEPS * NOISY), STEPS, size=schedule.batch // 4))
        noise = torch.randn(schedule.batch // 4, *size)
        with torch.autocast("cpu", torch.bfloat16):
            follows = text(noise, timestep, proj_embedding=said[part].float()).predicted_image_embedding
            with torch.no_grad():
                truth = text(noise, timestep, proj_embedding=wanted[part]).predicted_image_embedding
        apart = (follows.float() - truth.float()).square().mean() / truth.float().square().mean()
        return {"loss": off + apart, "states": off.detach(), "prior": apart.detach()}

    return fit(model, loss, schedule, out / "picture_prior.pt")


if __name__ == "__main__":
    run_on_pictures(train, __doc__)
