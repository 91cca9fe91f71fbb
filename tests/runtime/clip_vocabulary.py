"""A small vocabulary in the form of CLIP's: every byte, every byte at the end of a word, then pieces of a few words."""

from __future__ import annotations

import json
from pathlib import Path

WORDS = ("a", "red", "chair", "chairs", "don", "'s", "we", "'ll", "caf\u00c3\u00a9", "!!", "...", "abab", "bab", "leg", "legs")
START, END = "<|startoftext|>", "<|endoftext|>"


def letters() -> list[str]:
    """The 256 letters in the order of the published vocabulary: "!" is 0, and the bytes that Latin-1 does not print come last."""
    printed = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256))]
    return printed + [chr(256 + k) for k in range(256 - len(printed))]


def merges() -> list[tuple[str, str]]:
    """Each word of WORDS joined from its left."""
    found: dict[tuple[str, str], None] = {}
    for word in WORDS:
        left, *rest = [*word[:-1], word[-1] + "</w>"]
        for right in rest:
            found[left, right] = None
            left += right
    return list(found)


def vocabulary() -> dict[str, int]:
    alone = letters()
    pieces = [*alone, *(letter + "</w>" for letter in alone), *(left + right for left, right in merges()), START, END]
    return {piece: k for k, piece in enumerate(dict.fromkeys(pieces))}


def write_clip(folder: Path, *, config: dict | None = None, special: dict | None = None) -> Path:
    """`vocab.json` and `merges.txt` as published, and the two files about special tokens where they are given."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary()))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges()), "utf-8")
    for name, document in (("tokenizer_config.json", config), ("special_tokens_map.json", special)):
        if document is not None:
            (folder / name).write_text(json.dumps(document))
    return folder


def document(padding: int = 0, **model: object) -> dict:
    """A `tokenizer.json` of that vocabulary, as a pack carries it."""
    return {"padding": {"pad_id": padding}, "added_tokens": [{"id": 0, "content": "!", "normalized": False}],
            "model": {"type": "BPE", "unk_token": END, "end_of_word_suffix": "</w>", "vocab": vocabulary(),
                      "merges": [" ".join(pair) for pair in merges()]} | model}
