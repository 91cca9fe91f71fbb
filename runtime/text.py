"""Prompts to token ids: WordPiece as BERT does it, read from a pack's `tokenizer.json`.

Follows Devlin et al. 2018 (BERT): clean, split off Chinese characters, strip accents, lower the case, split
at spaces and punctuation, then take the longest known piece again and again. Written here, because the
usual package brings a hub client along and takes longer to import than a prompt takes to encode.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..engines.errors import InputError, PackFormat

CHINESE = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
           (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))


@dataclass(frozen=True)
class Tokens:
    """One encoded prompt.

    input_ids : (1, T) int64
    attention_mask : (1, T) int64, 1 at tokens, 0 at padding
    notices : what the user should know, such as a prompt that was cut
    """

    input_ids: np.ndarray
    attention_mask: np.ndarray
    notices: tuple[str, ...] = ()


class WordPiece:
    """The tokenizer of one pack: `vocabulary` maps a piece to its id, `length` is T."""

    def __init__(self, vocabulary: dict[str, int], length: int, *, unknown: str = "[UNK]", prefix: str = "##",
                 longest_word: int = 100, lowercase: bool = True) -> None:
        missing = [piece for piece in ("[PAD]", "[CLS]", "[SEP]", unknown) if piece not in vocabulary]
        if missing:
            raise PackFormat("the tokenizer's vocabulary lacks a special piece", received=", ".join(missing))
        self.vocabulary, self.length, self.lowercase = vocabulary, length, lowercase
        self._unknown, self._prefix, self._longest = vocabulary[unknown], prefix, longest_word

    def encode(self, prompt: str) -> Tokens:
        """Ids of `prompt`, cut to T tokens with a notice; unknown words become [UNK] with a notice.

        The empty string is [CLS] [SEP]: the unconditional half of guidance.
        """
        ids: list[int] = []
        unknown: list[str] = []
        for word in split_words(normalize(prompt, self.lowercase)):
            pieces = self._pieces(word)
            if self._unknown in pieces and word not in unknown:
                unknown.append(word)
            ids += pieces
        room = self.length - 2
        notices = _notices(len(ids), room, unknown)
        return self._pack([self.vocabulary["[CLS]"], *ids[:room], self.vocabulary["[SEP]"]], notices)

    def encode_prompt(self, prompt: str) -> Tokens:
        """`encode` for what a user typed.

        Refused with InputError: an empty prompt, a prompt with control characters (line breaks and tabs
        too), and one of which the encoder knows no word, such as emoji alone.
        """
        check_prompt(prompt)
        tokens = self.encode(prompt)
        special = {self.vocabulary[piece] for piece in ("[PAD]", "[CLS]", "[SEP]")} | {self._unknown}
        if all(token in special for token in tokens.input_ids.ravel().tolist()):
            raise InputError("the text encoder knows no word of the prompt", received=shorten(prompt),
                             remedy="describe the object in words")
        return tokens

    def _pack(self, ids: list[int], notices: tuple[str, ...]) -> Tokens:
        padded = np.full((1, self.length), self.vocabulary["[PAD]"], np.int64)
        padded[0, :len(ids)] = ids
        mask = (np.arange(self.length) < len(ids)).astype(np.int64)[None]
        return Tokens(padded, mask, notices)

    def _pieces(self, word: str) -> list[int]:
        """Greedy longest match first; one [UNK] for a word that cannot be put together."""
        if len(word) > self._longest:
            return [self._unknown]
        ids, start = [], 0
        while start < len(word):
            prefix = self._prefix if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if prefix + word[start:end] in self.vocabulary), None)
            if end is None:
                return [self._unknown]
            ids.append(self.vocabulary[prefix + word[start:end]])
            start = end
        return ids


def load_tokenizer(path: Path, length: int) -> WordPiece:
    """Read a `tokenizer.json` whose model is WordPiece; PackFormat for any other kind."""
    try:
        document = json.loads(path.read_text("utf-8"))
        model, normalizer = document["model"], document.get("normalizer") or {}
        if model["type"] != "WordPiece":
            raise PackFormat(f"{path.name} holds another kind of tokenizer", received=model["type"],
                             expected="WordPiece")
        return WordPiece(
            dict(model["vocab"]), length, unknown=model["unk_token"],
            prefix=model.get("continuing_subword_prefix", "##"),
            longest_word=int(model.get("max_input_chars_per_word", 100)),
            lowercase=bool(normalizer.get("lowercase", True)))
    except (ValueError, KeyError, TypeError) as error:
        raise PackFormat(f"{path.name} cannot be read as a tokenizer", received=str(error)) from error


def check_prompt(prompt: str) -> None:
    """Raise InputError for a prompt without text or with characters that no text holds."""
    if not isinstance(prompt, str) or not prompt.strip():
        raise InputError("the prompt is empty", remedy='say what to make, such as "a red chair"')
    bad = next((c for c in prompt if unicodedata.category(c) in ("Cc", "Cs")), None)
    if bad is not None:
        raise InputError("the prompt holds a control character", received=f"U+{ord(bad):04X}",
                         expected="plain text on one line")


def shorten(text: str, length: int = 40) -> str:
    """`text` in quotes, cut to `length` characters."""
    return repr(text if len(text) <= length else text[:length] + "...")


def normalize(text: str, lowercase: bool) -> str:
    """Without invisible characters; Chinese characters between spaces; accents and case gone if asked."""
    text = "".join(_clean(character) for character in text)
    if not lowercase:
        return text
    stripped = (c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    return "".join(c.lower() for c in stripped)


def split_words(text: str) -> Iterator[str]:
    """The words of `text`; each punctuation mark is a word of its own."""
    for run in text.split():
        word = ""
        for character in run:
            if not _is_punctuation(character):
                word += character
                continue
            if word:
                yield word
            yield character
            word = ""
        if word:
            yield word


def _clean(character: str) -> str:
    if character.isspace():
        return " "
    if character == "\ufffd" or unicodedata.category(character).startswith("C"):
        return ""
    code = ord(character)
    return f" {character} " if any(low <= code <= high for low, high in CHINESE) else character


def _is_punctuation(character: str) -> bool:
    # BERT also counts the ASCII symbols, such as $ and +, that Unicode does not call punctuation.
    ascii_symbol = character.isascii() and character.isprintable() and not character.isalnum() and character != " "
    return ascii_symbol or unicodedata.category(character).startswith("P")


def _notices(count: int, room: int, unknown: list[str]) -> tuple[str, ...]:
    notices = []
    if count > room:
        notices.append(f"the prompt has {count} tokens; the text encoder reads the first {room}")
    if unknown:
        notices.append("words the text encoder does not know: " + ", ".join(shorten(word, 20) for word in unknown[:5]))
    return tuple(notices)
