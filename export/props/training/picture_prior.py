"""A picture in place of a prompt for the Shap-E prior: the words for what it shows, as states that steer the frozen prior.

The prior has learnt from captions alone and can follow nothing that they do not say. So the views' encoder, frozen, gets a head that
tells family and colours, and these turn into the states that the text encoder has for their caption: into a mixture where the
head is in doubt. The states of all captions are kept as a mean and a few components.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..world.families import FAMILIES, SECOND_PART
from ..world.palette import NAMES
from ..world.world import make_prop
from . import language
from .loop import Schedule, averaged, fit
from .pairs import Pairs
from .run import Run
from .views import PictureEncoder, ViewsModel

SCHEDULE = Schedule(steps=1500, batch=256, lr=2e-3, warmup=50, ema=0.99)
FAMILY_NAMES = tuple(FAMILIES)
COMPONENTS = 64
# What the parts of a caption are told apart by: each family, colour and second colour, and each family with either colour.
CLASSES = (len(FAMILY_NAMES), len(NAMES), len(NAMES))


class PictureWords(nn.Module):
    """Pictures (b, 3, 128, 128) in [0, 1] -> states (b, 32, 384) of a caption of what they show."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = PictureEncoder()
        self.head = nn.Sequential(nn.Linear(2 * 384, 160), nn.GELU(), nn.Linear(160, sum(CLASSES)))
        families, colors, _ = CLASSES
        self.weights = nn.Linear(families * (1 + 2 * colors), COMPONENTS, bias=False)
        self.basis = nn.Linear(COMPONENTS, language.LENGTH * 384)

    def forward(self, picture: Tensor) -> Tensor:
        family, first, second = (logits.softmax(dim=-1) for logits in self.logits(self.features(picture)))
        return self.caption(family, first, second)

    def features(self, picture: Tensor) -> Tensor:
        """(b, 768): the state of the whole picture and the mean of its patches'."""
        states = self.encoder(picture)
        return torch.cat([states[:, 0], states[:, 1:].mean(dim=1)], dim=1)

    def logits(self, features: Tensor) -> tuple[Tensor, ...]:
        """Of family (b, 20), colour (b, 14) and second colour (b, 14)."""
        return self.head(features).split(CLASSES, dim=-1)

    def caption(self, family: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Probabilities, as `logits` has them -> states (b, 32, 384)."""
        pairs = [(family.unsqueeze(2) * color.unsqueeze(1)).flatten(1) for color in (first, second)]
        return self.basis(self.weights(torch.cat([family, *pairs], dim=1))).unflatten(1, (language.LENGTH, 384))


def plain_caption(family: str, first: str, second: str) -> str:
    """The caption that says the most in the fewest words."""
    return f"a {first} {family} with {second} {SECOND_PART[family]}"


def learn_captions(model: PictureWords) -> float:
    """Set `weights` and `basis` by least squares over every caption that `plain_caption` gives -> share of the variance left out."""
    families, colors, _ = CLASSES
    index = np.array([(f, a, b) for f in range(families) for a in range(colors) for b in range(colors) if (a + b + f) % 4 == 0])
    states = language.encode([plain_caption(FAMILY_NAMES[f], NAMES[a], NAMES[b]) for f, a, b in index]).float().flatten(1)
    known = torch.zeros(len(index), families * (1 + 2 * colors))
    rows, (f, a, b) = np.arange(len(index)), index.T
    known[rows, f] = known[rows, families + f * colors + a] = known[rows, families * (1 + colors) + f * colors + b] = 1.0
    mean = states.mean(dim=0)
    _, _, components = torch.svd_lowrank(states - mean, COMPONENTS, niter=4)
    coordinates = (states - mean) @ components
    # The pairs of a family sum up to the family itself: of all solutions, the smallest.
    solution = torch.linalg.lstsq(known, coordinates, driver="gelsd").solution
    with torch.no_grad():
        model.weights.weight.copy_(solution.T)
        model.basis.weight.copy_(components)
        model.basis.bias.copy_(mean)
        told = model.basis(model.weights(known))
    return float((told - states).square().sum() / (states - mean).square().sum())


@torch.no_grad()
def all_features(model: PictureWords, run: Run, data: Pairs) -> Tensor:
    """Features of every picture (n, 2, 768)."""
    parts = []
    for start in range(0, len(data), 16):
        pictures = run.tensor(data.pictures[start:start + 16]).permute(0, 1, 4, 2, 3).float() / 255
        parts.append(model.features(pictures.flatten(0, 1)).unflatten(0, pictures.shape[:2]))
    return torch.cat(parts)


def classes(seeds: np.ndarray) -> Tensor:
    """Family, colour and second colour (n, 3) int64 of the props of these seeds."""
    props = [make_prop(int(seed)) for seed in seeds]
    return torch.tensor([(FAMILY_NAMES.index(p.family), NAMES.index(p.first), NAMES.index(p.second)) for p in props])


def train(run: Run, schedule: Schedule = SCHEDULE) -> PictureWords:
    """picture_prior.pt; needs pairs, views.pt."""
    data, model = Pairs.open(run.pairs), PictureWords()
    model.encoder.load_state_dict(averaged(ViewsModel(), run.out / "views.pt").encoder.state_dict())
    model.eval().requires_grad_(False)
    print(f"captions: {learn_captions(model):.3f} of the variance left out", flush=True)
    model = model.to(run.device)
    features, truth = all_features(model, run, data), classes(data.seeds).to(run.device)
    model.head.requires_grad_(True)

    def loss(rng):
        rows = rng.integers(len(data), size=schedule.batch)
        seen = F.dropout(features[run.tensor(rows), run.tensor(rng.integers(features.shape[1], size=schedule.batch))], 0.2)
        logits = model.logits(seen)
        terms = [F.cross_entropy(guess, truth[run.tensor(rows), k]) for k, guess in enumerate(logits)]
        right = [(guess.argmax(dim=1) == truth[run.tensor(rows), k]).float().mean() for k, guess in enumerate(logits)]
        return {"loss": sum(terms), "family": right[0], "first": right[1], "second": right[2]}

    fit(model.head, loss, schedule, run.out / "picture_head.pt")
    torch.save({"average": model.state_dict()}, run.out / "picture_prior.pt")
    return model.eval()
