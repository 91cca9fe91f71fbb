"""Reads the `tokenizer.json` of a pack: WordPiece (BERT) or byte-level BPE (CLIP).

The tokenizers are written here, because the usual package brings a hub client along and takes longer to import
than a prompt takes to encode.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...engines.errors import PackFormat
from ...engines.files.regular_file import read_regular
from .bpe import WORD_END, AddedToken, BytePairs
from .tokens import Tokenizer, Tokens, check_prompt, shorten
from .wordpiece import WordPiece

__all__ = ["BytePairs", "Tokenizer", "Tokens", "WordPiece", "check_prompt", "load_tokenizer", "shorten"]


# Published ones take some megabytes, and have some hundred thousand pieces.
MAX_FILE_BYTES, MAX_ID, MAX_WORD_LENGTH = 32 << 20, (1 << 31) - 1, 10_000


def load_tokenizer(path: Path, length: int) -> Tokenizer:
    """Read a `tokenizer.json` in the form of Hugging Face; PackFormat for a kind that no pack has."""
    try:
        document = json.loads(read_regular(path, path.name, PackFormat, max_bytes=MAX_FILE_BYTES).decode("utf-8"))
        kind = document["model"]["type"]
        if kind not in READERS:
            raise PackFormat(f"{path.name} holds another kind of tokenizer", received=str(kind),
                             expected=" or ".join(READERS))
        return READERS[kind](document, length)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise PackFormat(f"{path.name} cannot be read as a tokenizer", received=str(error)[:200]) from error


def _vocabulary(model: Mapping[str, Any]) -> dict[str, int]:
    """Pieces and their ids, which a text encoder can be given."""
    vocabulary = dict(model["vocab"])
    wrong = next((piece for piece, number in vocabulary.items() if type(number) is not int or not 0 <= number <= MAX_ID), None)
    if wrong is not None:
        raise ValueError(f"vocab: {wrong[:40]!r} has an id out of range")
    return vocabulary


def _number(entry: Mapping[str, Any], key: str, high: int, default: int | None = None) -> int:
    value = entry[key] if default is None else entry.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value <= high:
        raise ValueError(f"{key} is out of range")
    return int(value)


def _string(entry: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = entry[key] if default is None else entry.get(key, default)
    if not isinstance(value, str):
        raise ValueError(f"{key} is not a string")
    return value


def _word_piece(document: Mapping[str, Any], length: int) -> WordPiece:
    model, normalizer = document["model"], document.get("normalizer") or {}
    return WordPiece(
        _vocabulary(model), length, unknown=_string(model, "unk_token"),
        prefix=_string(model, "continuing_subword_prefix", "##"),
        longest_word=_number(model, "max_input_chars_per_word", MAX_WORD_LENGTH, 100),
        lowercase=bool(normalizer.get("lowercase", True)))


def _byte_pairs(document: Mapping[str, Any], length: int) -> BytePairs:
    """Of the kinds of BPE only CLIP's: other text encoders clean and split their prompts in other ways."""
    model, padding = document["model"], document.get("padding") or {}
    if model.get("end_of_word_suffix") != WORD_END:
        raise PackFormat("the tokenizer is not a CLIP tokenizer", received=f"words that end with {model.get('end_of_word_suffix')!r}",
                         expected=repr(WORD_END))
    merges: list[Any] = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
    added = [AddedToken(_string(token, "content"), _number(token, "id", MAX_ID), bool(token.get("normalized", False)))
             for token in document.get("added_tokens") or ()]
    return BytePairs(_vocabulary(model), merges, length, padding=_number(padding, "pad_id", MAX_ID) if padding else None,
                     unknown=_string(model, "unk_token"), added=added)


READERS = {"WordPiece": _word_piece, "BPE": _byte_pairs}
