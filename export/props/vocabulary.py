"""The rows of the text encoder's word table that the pack keeps, and the tokenizer that goes with them.

Half of a small text encoder is its table of 30,522 word pieces, and most of these are names of people and places, numbers and letters
of other scripts, which no prompt for a thing needs. Kept are, in the order of the table, which is that of how frequent they are:

- what is no word, such as the token that starts a text, and every sign and single letter of ASCII and Latin-1;
- every piece that continues a word in Latin letters, so that a word which is left out is put together from pieces;
- every piece of the captions' words and of the names of other things;
- the first FREQUENT words in Latin letters;
- of the other words, those that name things the most, until there are ROWS: a linear classifier tells the states of names of things,
  of the world or not, from those of all words of the table.
"""

import copy
import functools
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from .training import language
from .training.familiarity import known_and_others, means
from .world import captions, palette, phrases, sentences, wordings
from .world.families import SECOND_PART
from .world.other_things import OTHER_THINGS

ROWS, FREQUENT = 14_000, 3_000
# Of the classifier: of states of length 1, and of its weights.
SHARPNESS, DECAY = 10.0, 1e-2
CONTINUES = "##"
MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LATIN_WORD, LETTER_AFTER_LATIN_1 = re.compile(r"[a-z]{2,}"), "\u0100"


@functools.cache
def kept_pieces() -> tuple[str, ...]:
    """The pieces, in the order of the table."""
    table: dict[str, int] = _source()["model"]["vocab"]
    order = sorted(table, key=table.__getitem__)
    kept = {piece for piece in order if _always(piece)} | world_pieces()
    words = [piece for piece in order if LATIN_WORD.fullmatch(piece)]
    kept.update(words[:FREQUENT])
    rest = [word for word in words if word not in kept]
    things = np.argsort(-likely_things(rest, words), kind="stable")[:max(0, ROWS - len(kept))]
    kept.update(rest[i] for i in things)
    return tuple(piece for piece in order if piece in kept)


def _always(piece: str) -> bool:
    """Whether a piece is kept whatever it means."""
    letters = piece.removeprefix(CONTINUES)
    if piece in MARKS or len(letters) == 1:
        return letters in MARKS or letters < LETTER_AFTER_LATIN_1
    return piece.startswith(CONTINUES) and LATIN_WORD.fullmatch(letters) is not None


def world_pieces() -> set[str]:
    """The pieces of everything that captions are made of, and of the names of other things."""
    tokenizer = Tokenizer.from_file(str(language.model_folder() / "tokenizer.json"))
    return {piece for text in _texts() for piece in tokenizer.encode(text, add_special_tokens=False).tokens} - {"[UNK]"}


def _texts() -> Iterable[str]:
    """All words and sentences of the world."""
    tables = (captions.NOUNS, wordings.NOUNS, wordings.MAIN_PARTS, wordings.MORE_PARTS, wordings.MORE_COLORS, wordings.MATERIALS,
              phrases.NAMES, phrases.USES, captions.PART_WORDS, palette.WORDS)
    yield from (word for table in tables for words in table.values() for word in words)
    yield from SECOND_PART.values()
    usual = captions.PLAIN, captions.MAIN_ONLY, captions.BOTH, captions.SAME, captions.FRAMES
    free = (sentences.PLAIN, sentences.MAIN_ONLY, sentences.BOTH, sentences.SECOND_ONLY, sentences.SAME, sentences.OF_MATERIAL,
            sentences.FRAMES, sentences.QUALITIES, sentences.OWNERS, sentences.PLACES, sentences.BESIDE)
    yield from (re.sub(r"\{\w*\}", " ", text) for texts in (*usual, *free) for text in texts)
    yield from OTHER_THINGS


def likely_things(asked: Sequence[str], words: Sequence[str]) -> np.ndarray:
    """How likely each word of `asked` is to name a thing (n,), as a logistic regression has it that tells known names from `words`."""
    names, states = torch.cat(known_and_others()), means([f"a {word}" for word in words])
    rows, truth = torch.cat([names, states]), torch.cat([torch.ones(len(names)), torch.zeros(len(states))])
    share = torch.where(truth > 0, 0.5 / len(names), 0.5 / len(states))
    plane = torch.zeros(rows.shape[1] + 1, requires_grad=True)
    descent = torch.optim.LBFGS([plane], max_iter=100)

    def loss() -> Tensor:
        descent.zero_grad()
        errors = F.binary_cross_entropy_with_logits(SHARPNESS * rows @ plane[:-1] + plane[-1], truth, reduction="none")
        total = (errors * share).sum() + DECAY * plane[:-1].square().sum()
        total.backward()
        return total

    descent.step(loss)
    place = {word: i for i, word in enumerate(words)}
    return (states @ plane[:-1].detach()).numpy()[[place[word] for word in asked]]


def cut_model(model: nn.Module, pieces: Sequence[str]) -> nn.Module:
    """A copy of a transformers model that knows only `pieces`, by their place in the list."""
    table = _source()["model"]["vocab"]
    smaller = copy.deepcopy(model)
    rows = smaller.get_input_embeddings().weight[torch.tensor([table[piece] for piece in pieces])]
    smaller.set_input_embeddings(nn.Embedding.from_pretrained(rows.detach().clone()))
    smaller.config.vocab_size = len(pieces)
    return smaller.eval().requires_grad_(False)


def cut_tokenizer(pieces: Sequence[str]) -> str:
    """tokenizer.json, in the form of Hugging Face, for `pieces` alone."""
    found, ids = _source(), {piece: i for i, piece in enumerate(pieces)}
    found["model"]["vocab"] = ids
    for token in found["added_tokens"]:
        token["id"] = ids[token["content"]]
    for name, token in found["post_processor"]["special_tokens"].items():
        token["ids"] = [ids[name]]
    found["padding"]["pad_id"] = ids[found["padding"]["pad_token"]]
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def _source() -> dict[str, Any]:
    """tokenizer.json as the text encoder's package carries it."""
    return json.loads((language.model_folder() / "tokenizer.json").read_text("utf-8"))
