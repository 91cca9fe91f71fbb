"""Prompts to token ids by byte-level BPE, as CLIP's text encoders read them (arXiv 2103.00020, section 2.4).

Compose accents (NFC), squeeze white space, lower the case, split into runs of letters, single digits and runs of
anything else, then write each word as UTF-8 bytes and join neighbours in the order in which the merges were learnt.
"""

from __future__ import annotations

import heapq
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...engines.errors import PackFormat
from .tokens import Tokenizer, missing_pieces

START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
# Words of their own wherever one begins; the runs of letters and symbols around them are not cut for their sake.
FIXED = re.compile("|".join(map(re.escape, (START, END, "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"))))
# Unicode's White_Space. Python's \s would add the separators U+001C to U+001F.
SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
SPACE = re.compile(f"[{SPACES}]+")


@dataclass(frozen=True)
class AddedToken:
    """Text that is one token wherever it stands; `normalized` : looked for after the clean-up, in lower case."""

    text: str
    id: int
    normalized: bool = False


class BytePairs(Tokenizer):
    """The CLIP tokenizer of one pack.

    vocabulary : maps a piece, in the letters of `byte_letters`, to its id; the last piece of a word ends with </w>
    merges : pairs of pieces, the first learnt first
    length : T, padding included
    padding : the id behind the end; 0 ("!") in the encoder of Stable Diffusion 2, that of the end in CLIP itself
    unknown : stands for a letter that the vocabulary lacks; published ones hold every byte
    """

    def __init__(self, vocabulary: dict[str, int], merges: Sequence[tuple[str, str]], length: int, *,
                 padding: int | None = None, unknown: str = END, added: Sequence[AddedToken] = ()) -> None:
        missing = missing_pieces(vocabulary, (START, END, unknown))
        if missing:
            raise PackFormat("the tokenizer's vocabulary lacks a special piece", received=missing)
        end = vocabulary[END]
        super().__init__(length, start=vocabulary[START], end=end, padding=end if padding is None else padding,
                         unknown=vocabulary[unknown])
        self.vocabulary = vocabulary
        self._merges = _ranked(vocabulary, merges)
        special = [AddedToken(text, vocabulary[text]) for text in (START, END)]
        self._raw = Splitter([*(token for token in added if not token.normalized), *special])
        self._clean = Splitter([AddedToken(clean(token.text), token.id) for token in added if token.normalized])

    def _ids(self, prompt: str) -> tuple[list[int], list[str]]:
        ids: list[int] = []
        unknown: list[str] = []
        known: dict[str, list[int]] = {}
        for word in self._words(prompt):
            if isinstance(word, int):
                ids.append(word)
                continue
            if word not in known:
                known[word] = self._pieces(word)
                if self._unknown in known[word]:
                    unknown.append(word)
            ids += known[word]
        return ids, unknown

    def _words(self, prompt: str) -> Iterator[str | int]:
        """The words of the prompt, and the ids of the added tokens between them."""
        for part in self._raw.split(prompt):
            for piece in [part] if isinstance(part, int) else self._clean.split(clean(part)):
                yield from [piece] if isinstance(piece, int) else split_words(piece)

    def _pieces(self, word: str) -> list[int]:
        letters = [BYTE_LETTERS[byte] for byte in word.encode("utf-8", "surrogatepass")]
        letters[-1] += WORD_END
        return join_pairs([self.vocabulary.get(letter, self._unknown) for letter in letters], self._merges)


class Splitter:
    """Cuts text at tokens that are not to be taken apart."""

    def __init__(self, tokens: Sequence[AddedToken]) -> None:
        self._ids = {token.text: token.id for token in tokens}
        # The longest first: alternatives are tried in their order.
        texts = sorted(self._ids, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, texts))) if texts else None

    def split(self, text: str) -> Iterator[str | int]:
        """The parts of `text` in their order: ids of tokens, and what stands between them."""
        start = 0
        for match in self._pattern.finditer(text) if self._pattern else ():
            if match.start() > start:
                yield text[start:match.start()]
            yield self._ids[match.group()]
            start = match.end()
        if start < len(text):
            yield text[start:]


def byte_letters() -> dict[int, str]:
    """Each byte as one visible letter: itself where Latin-1 prints it, else U+0100 and on (Radford et al. 2019, GPT-2)."""
    printed = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(256) if byte not in printed)
    return {byte: chr(byte) for byte in printed} | {byte: chr(0x100 + k) for k, byte in enumerate(others)}


BYTE_LETTERS = byte_letters()


def clean(text: str) -> str:
    """NFC, one space for each run of white space, lower case letter by letter (a final sigma stays a sigma)."""
    return "".join(c.lower() for c in SPACE.sub(" ", unicodedata.normalize("NFC", text)))


def split_words(text: str) -> Iterator[str]:
    """The words of clean text: contractions, runs of letters, single digits, runs of other characters."""
    start = 0
    while start < len(text):
        fixed = FIXED.match(text, start)
        end = fixed.end() if fixed else _end_of_run(text, start)
        if text[start:end] in (START, END):  # not the token here, which was in capitals: then three words
            yield from ("<|", text[start + 2:end - 2], "|>")
        elif not SPACE.match(text, start):
            yield text[start:end]
        start = end


def join_pairs(ids: list[int], merges: dict[tuple[int, int], tuple[int, int]]) -> list[int]:
    """Join neighbours, the pair that was learnt first wherever it stands, then the next, until none is left.

    merges : (left, right) -> (rank, joined). A heap of the pairs keeps this at n log n for words of any length.
    """
    ids, following = list(ids), [*range(1, len(ids)), -1]
    previous = list(range(-1, len(ids) - 1))
    heap: list[tuple[int, int, int, int]] = []

    def note(at: int) -> None:
        if at >= 0 and following[at] >= 0:
            pair = ids[at], ids[following[at]]
            if pair in merges:
                heapq.heappush(heap, (merges[pair][0], at, *pair))

    for at in range(len(ids)):
        note(at)
    while heap:
        _, at, left, right = heapq.heappop(heap)
        after = following[at]
        if ids[at] != left or after < 0 or ids[after] != right:
            continue  # one of the two has been joined to something else since
        ids[at], ids[after] = merges[left, right][1], -1
        following[at] = following[after]
        if following[after] >= 0:
            previous[following[after]] = at
        note(previous[at])
        note(at)
    return [token for token in ids if token >= 0]


def _ranked(vocabulary: dict[str, int], merges: Sequence[tuple[str, str]]) -> dict[tuple[int, int], tuple[int, int]]:
    try:
        return {(vocabulary[left], vocabulary[right]): (rank, vocabulary[left + right])
                for rank, (left, right) in enumerate(merges)}
    except KeyError as error:
        raise PackFormat("a merge of the tokenizer names a piece that its vocabulary lacks",
                         received=repr(error.args[0])) from error


def _end_of_run(text: str, start: int) -> int:
    kind, end = _kind(text[start]), start + 1
    while kind != "digit" and end < len(text) and _kind(text[end]) == kind:
        end += 1
    return end


def _kind(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] in "LN":
        return "letter" if category[0] == "L" else "digit"
    return "space" if SPACE.match(character) else "other"
