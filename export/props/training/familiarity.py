"""What tells prompts for props from prompts for other things, made from the text encoder's own states; nothing is trained."""

import numpy as np
import torch
from torch import Tensor

from ...components.prompt_check import PromptCheck
from ..world import captions, wordings
from ..world.dataset import draw_look
from ..world.other_things import OTHER_THINGS
from .language import encode

# Captions that set the margin, and the share of them that may be taken for other things.
CAPTIONS, TAKEN_FOR_OTHERS = 1000, 0.01


def prompt_check() -> PromptCheck:
    """The names that training captions have for things, against those of `OTHER_THINGS`; the margin by captions in free wording."""
    known, others = known_and_others()
    rng = np.random.default_rng(0)
    looks = [draw_look(rng) for _ in range(CAPTIONS)]
    usual = means([wordings.free_caption(look.family, look.first, look.second, rng) for look in looks])
    likeness = torch.cat([PromptCheck(known, others, 0.0)(row[None, None]) for row in usual])
    margin = torch.quantile(likeness[:, 1] - likeness[:, 0], 1 - TAKEN_FOR_OTHERS)
    return PromptCheck(known, others, float(margin)).eval()


def known_and_others() -> tuple[Tensor, Tensor]:
    """Mean token states of the names that captions have for things (n, D), and of those of other things (m, D)."""
    nouns = sorted({noun for table in (captions.NOUNS, wordings.FREE.nouns) for nouns in table.values() for noun in nouns})
    return means([f"a {noun}" for noun in nouns]), means(list(OTHER_THINGS))


def means(texts: list[str]) -> Tensor:
    """Mean token states (n, D), up to a factor."""
    return torch.nn.functional.normalize(encode(texts).float().sum(dim=1), dim=-1)
