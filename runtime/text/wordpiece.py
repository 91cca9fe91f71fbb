"""Prompts to token ids by WordPiece, as BERT does it.

Follows Devlin et al. 2018 (BERT): clean, split off Chinese characters, strip accents, lower the case, split
at spaces and punctuation, then take the longest known piece again and again.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from ...engines.errors import PackFormat
from .tokens import Tokenizer, missing_pieces

CHINESE = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
           (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))


class WordPiece(Tokenizer):
    """The tokenizer of one pack: `vocabulary` maps a piece to its id, `length` is T."""

    def __init__(self, vocabulary: dict[str, int], length: int, *, unknown: str = "[UNK]", prefix: str = "##",
                 longest_word: int = 100, lowercase: bool = True) -> None:
        missing = missing_pieces(vocabulary, ("[PAD]", "[CLS]", "[SEP]", unknown))
        if missing:
            raise PackFormat("the tokenizer's vocabulary lacks a special piece", received=missing)
        super().__init__(length, start=vocabulary["[CLS]"], end=vocabulary["[SEP]"], padding=vocabulary["[PAD]"],
                         unknown=vocabulary[unknown])
        self.vocabulary, self.lowercase = vocabulary, lowercase
        self._prefix, self._longest = prefix, longest_word

    def _ids(self, prompt: str) -> tuple[list[int], list[str]]:
        ids: list[int] = []
        unknown: list[str] = []
        for word in split_words(normalize(prompt, self.lowercase)):
            pieces = self._pieces(word)
            if self._unknown in pieces and word not in unknown:
                unknown.append(word)
            ids += pieces
        return ids, unknown

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
