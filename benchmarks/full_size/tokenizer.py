"""CLIP's byte-pair vocabulary files, `vocab.json` and `merges.txt`, with merges of our own making."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from itertools import product
from pathlib import Path

START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
# Words that a test may want as one token each.
WORDS = """a an the of with and on in red green blue yellow white black brown wooden small tall chair stool table lamp mug house
tower tree sword car legs seat roof top robot cat dog""".split()


def write_tokenizer(folder: Path, size: int) -> Path:
    """The four files of a published tokenizer folder with `size` ids in all."""
    vocab, merges = vocabulary(size)
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), "utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges), ""]), "utf-8")
    end = {"content": END, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    special = {"bos_token": end | {"content": START}, "eos_token": end, "pad_token": "!", "unk_token": end}
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n", "utf-8")
    options = {"add_prefix_space": False, **special, "do_lower_case": True, "errors": "replace", "model_max_length": 77,
               "tokenizer_class": "CLIPTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(options, indent=2) + "\n", "utf-8")
    return folder


def vocabulary(size: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Piece to id, and the merges in their order: all bytes, all bytes at a word's end, merges, the two special ones."""
    letters = _byte_letters()
    pieces = dict.fromkeys([*letters, *(letter + WORD_END for letter in letters)])
    room, merges = size - len(pieces) - 2, []
    for left, right in _merges():
        if len(merges) == room:
            break
        if left + right not in pieces:
            pieces[left + right] = None
            merges.append((left, right))
    return {piece: number for number, piece in enumerate([*pieces, START, END])}, merges


def _byte_letters() -> list[str]:
    """One printable letter for each byte, in the order of the published ids: those that print first, then the others."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + number) for number in range(len(others))]


def _merges() -> Iterator[tuple[str, str]]:
    """Merges that build WORDS from the left, then whatever pairs of letters there are, more than any vocabulary needs."""
    for word in WORDS:
        letters = [*word[:-1], word[-1] + WORD_END]
        whole = letters[0]
        for letter in letters[1:]:
            yield whole, letter
            whole += letter
    letters, ends = string.ascii_lowercase, [letter + WORD_END for letter in string.ascii_lowercase]
    yield from product(letters, letters)
    yield from product(letters, ends)
    pairs = list(map("".join, product(letters, letters)))
    yield from product(pairs, letters)
    yield from product(pairs, ends)
    yield from product(pairs, (pair + WORD_END for pair in pairs))
