"""Reads the `tokenizer.json` of a pack: WordPiece (BERT) or byte-level BPE (CLIP).

The tokenizers are written here, because the usual package brings a hub client along and takes longer to import
than a prompt takes to encode.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..engines.errors import PackFormat
from .bpe import WORD_END, AddedToken, BytePairs
from .tokens import Tokenizer, Tokens, check_prompt, shorten
from .wordpiece import WordPiece

__all__ = ["BytePairs", "Tokenizer", "Tokens", "WordPiece", "check_prompt", "load_tokenizer", "shorten"]


def load_tokenizer(path: Path, length: int) -> Tokenizer:
    """Read a `tokenizer.json` in the form of Hugging Face; PackFormat for a kind that no pack has."""
    try:
        document = json.loads(path.read_text("utf-8"))
        kind = document["model"]["type"]
        if kind not in READERS:
            raise PackFormat(f"{path.name} holds another kind of tokenizer", received=str(kind),
                             expected=" or ".join(READERS))
        return READERS[kind](document, length)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PackFormat(f"{path.name} cannot be read as a tokenizer", received=str(error)) from error


def _word_piece(document: Mapping[str, Any], length: int) -> WordPiece:
    model, normalizer = document["model"], document.get("normalizer") or {}
    return WordPiece(
        dict(model["vocab"]), length, unknown=model["unk_token"],
        prefix=model.get("continuing_subword_prefix", "##"),
        longest_word=int(model.get("max_input_chars_per_word", 100)),
        lowercase=bool(normalizer.get("lowercase", True)))


def _byte_pairs(document: Mapping[str, Any], length: int) -> BytePairs:
    """Of the kinds of BPE only CLIP's: other text encoders clean and split their prompts in other ways."""
    model, padding = document["model"], document.get("padding") or {}
    if model.get("end_of_word_suffix") != WORD_END:
        raise PackFormat("the tokenizer is no CLIP tokenizer", received=f"words that end with {model.get('end_of_word_suffix')!r}",
                         expected=repr(WORD_END))
    merges = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
    added = [AddedToken(token["content"], int(token["id"]), bool(token.get("normalized", False)))
             for token in document.get("added_tokens") or ()]
    return BytePairs(dict(model["vocab"]), merges, length, padding=int(padding["pad_id"]) if padding else None,
                     unknown=model["unk_token"], added=added)


READERS = {"WordPiece": _word_piece, "BPE": _byte_pairs}
