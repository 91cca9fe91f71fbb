"""What every tokenizer of a pack has in common: its result, and the prompts that are refused."""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ...engines.errors import InputError


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


class Tokenizer(ABC):
    """Prompts to exactly `length` ids: a token that starts, the prompt, a token that ends, padding.

    special : the ids that stand for no word of a prompt: start, end, padding and unknown
    """

    def __init__(self, length: int, *, start: int, end: int, padding: int, unknown: int) -> None:
        self.length, self.special = length, frozenset((start, end, padding, unknown))
        self._start, self._end, self._padding, self._unknown = start, end, padding, unknown

    @abstractmethod
    def _ids(self, prompt: str) -> tuple[list[int], list[str]]:
        """The ids of the whole prompt and the words that the encoder does not know, each once."""

    def encode(self, prompt: str) -> Tokens:
        """Ids of `prompt`, cut to T tokens with a notice; so is a word that the encoder does not know.

        The empty string is the start and the end alone: the unconditional half of guidance.
        """
        ids, unknown = self._ids(prompt)
        room = self.length - 2
        whole = [self._start, *ids[:room], self._end]
        padded = np.full((1, self.length), self._padding, np.int64)
        padded[0, :len(whole)] = whole
        mask = (np.arange(self.length) < len(whole)).astype(np.int64)[None]
        return Tokens(padded, mask, _notices(len(ids), room, unknown))

    def encode_prompt(self, prompt: str) -> Tokens:
        """`encode` for what a user typed.

        Refused with InputError: an empty prompt, a prompt with control characters (line breaks and tabs
        too), and one of which the encoder knows no word, such as emoji alone where it has none.
        """
        check_prompt(prompt)
        tokens = self.encode(prompt)
        if self.special.issuperset(tokens.input_ids.ravel().tolist()):
            raise InputError("the text encoder knows none of the words in the prompt", received=shorten(prompt),
                             remedy="describe the object in words")
        return tokens


def check_prompt(prompt: str) -> None:
    """Raise InputError for a prompt without text or with characters that no text holds."""
    if not isinstance(prompt, str) or not prompt.strip():
        raise InputError("the prompt is empty", remedy='describe what to make, such as "a red chair"')
    bad = next((c for c in prompt if unicodedata.category(c) in ("Cc", "Cs")), None)
    if bad is not None:
        raise InputError("the prompt holds a control character", received=f"U+{ord(bad):04X}",
                         expected="plain text on one line")


def shorten(text: str, length: int = 40) -> str:
    """`text` in quotes, cut to `length` characters."""
    return repr(text if len(text) <= length else text[:length] + "...")


def missing_pieces(vocabulary: Collection[str], pieces: Sequence[str]) -> str:
    """Those of `pieces` that the vocabulary lacks, in one line; empty if there are none."""
    return ", ".join(piece for piece in pieces if piece not in vocabulary)


def _notices(count: int, room: int, unknown: list[str]) -> tuple[str, ...]:
    notices = []
    if count > room:
        notices.append(f"the prompt has {count} tokens; the text encoder reads the first {room}")
    if unknown:
        notices.append("words unknown to the text encoder: " + ", ".join(shorten(word, 20) for word in unknown[:5]))
    return tuple(notices)
