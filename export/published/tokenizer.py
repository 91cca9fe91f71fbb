"""The tokenizer of a published CLIP text encoder, as the one `tokenizer.json` that a pack carries."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...engines.errors import CheckpointError
from .checkpoint import AGAIN, listing
from .json_file import read_object, read_text

START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
# In the order in which transformers registers them: a later one changes how an earlier one is looked for.
SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")
WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def tokenizer_document(folder: Path, *, padding: int | None = None) -> dict[str, Any]:
    """The document of the CLIP tokenizer in `folder`, from `tokenizer.json` or from `vocab.json` and `merges.txt`.

    padding : the id that pads, where the pipeline and not the folder says so; Shap-E's pads with 0
    Otherwise it is that of the token that the folder names, as in transformers: "!" (0) in the encoder of Stable
    Diffusion 2, the end of the text in CLIP itself. As there, a token that is named is one wherever it stands, so
    that "chair!" ends with id 0 in the one, and in the other with the id of the word "!".
    Raises CheckpointError for a folder without a CLIP tokenizer, or with one that was cut short.
    """
    if not os.path.isdir(folder):
        raise CheckpointError(f"{folder} is not a folder with a tokenizer")
    try:
        return _read(folder, padding)
    # The files are JSON of any form: a list where an object belongs, a text where an id does.
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder} holds no CLIP tokenizer", received=f"{type(error).__name__}: {error}",
                              expected="its files as they were published") from error


def _read(folder: Path, padding: int | None) -> dict[str, Any]:
    config, named = _optional(folder / "tokenizer_config.json"), _optional(folder / "special_tokens_map.json")
    vocabulary, merges, added = _pieces(folder)
    for text in (START, END):
        if text not in vocabulary:
            raise CheckpointError(f"{folder}: the vocabulary lacks {text}", expected="a CLIP tokenizer")
    added |= _declared(config)
    special = {kind: token for kind in SPECIAL if (token := _special(kind, config, named)) is not None}
    declared = frozenset(added)
    for token in special.values():
        if token["content"] not in declared:
            added[token["content"]] = _entry(token, {**vocabulary, **_ids(added)}, folder)
    _check_pieces(vocabulary, merges, added, folder)
    if padding is None:
        padding = _id(special["pad_token"]["content"], vocabulary, added) if "pad_token" in special else vocabulary[END]
    unknown = special["unk_token"]["content"] if "unk_token" in special else END
    return _document(vocabulary, merges, sorted(added.values(), key=lambda token: token["id"]), padding, unknown)


def empty_prompt(document: Mapping[str, Any], length: int) -> list[int]:
    """The `length` ids of a prompt without words: the start, the end, and padding."""
    vocabulary, padding = document["model"]["vocab"], document["padding"]["pad_id"]
    return [vocabulary[START], vocabulary[END], *[padding] * (length - 2)]


def _pieces(folder: Path) -> tuple[dict[str, int], list[str], dict[str, dict]]:
    """Vocabulary, merges as "left right", and the tokens that `tokenizer.json` adds."""
    whole = folder / "tokenizer.json"
    if os.path.isfile(whole):
        document = read_object(whole)[0]
        model = document.get("model") or {}
        if model.get("type") != "BPE" or model.get("end_of_word_suffix") != WORD_END:
            raise CheckpointError(f"{whole} is not a CLIP tokenizer", received=f"model {model.get('type')!r}",
                              expected=f"BPE whose words end with {WORD_END}")
        merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
        return dict(model["vocab"]), merges, {token["content"]: token for token in document.get("added_tokens") or ()}
    vocabulary, lines = folder / "vocab.json", folder / "merges.txt"
    missing = [path.name for path in (vocabulary, lines) if not os.path.isfile(path)]
    if missing:
        raise CheckpointError(f"{folder} holds no CLIP tokenizer", received=f"no {' and no '.join(missing)}",
                          expected="vocab.json and merges.txt, or tokenizer.json")
    return read_object(vocabulary)[0], _merges(lines), {}


def _merges(path: Path) -> list[str]:
    """The lines of `merges.txt` after its version; pieces hold no white space, so a line has one space."""
    lines = read_text(path).split("\n")
    merges = [line for line in lines[lines[0].startswith("#version"):] if line]
    wrong = next((line for line in merges if line.count(" ") != 1), None)
    if wrong is not None:
        raise CheckpointError(f"{path} has a line that is not a merge", received=repr(wrong),
                              expected="two pieces and a space between them")
    return merges


def _check_pieces(vocabulary: Mapping[str, int], merges: Sequence[str], added: Iterable[str], folder: Path) -> None:
    """In a byte-pair vocabulary every longer piece comes of a merge, and nothing else does: one file cut short shows."""
    made = {merge.replace(" ", "") for merge in merges}
    needed = {piece for merge in merges for piece in merge.split(" ")} | made
    absent = sorted(needed - vocabulary.keys())
    if absent:
        raise CheckpointError(f"{folder}: the vocabulary lacks pieces of the merges", received=listing(absent, "missing", 5), remedy=AGAIN)
    known = {START, END, *made, *added}
    unmade = sorted(piece for piece in vocabulary if len(piece.removesuffix(WORD_END)) > 1 and piece not in known)
    if unmade:
        raise CheckpointError(f"{folder}: the merges do not make all pieces of the vocabulary", received=listing(unmade, "left over", 5),
                              remedy=AGAIN)


def _declared(config: Mapping[str, Any]) -> dict[str, dict]:
    """The tokens that `tokenizer_config.json` lists with their ids."""
    declared = config.get("added_tokens_decoder") or {}
    return {token["content"]: {**token, "id": int(number)} for number, token in declared.items()}


def _special(kind: str, config: Mapping[str, Any], named: Mapping[str, Any]) -> dict | None:
    """The token of one kind. Where both files name one, the newer form, with ids in the config, has the last word."""
    files = (config, named) if "added_tokens_decoder" in config else (named, config)
    token = next((file[kind] for file in files if file.get(kind) is not None), None)
    return {"content": token} if isinstance(token, str) else token


def _entry(token: Mapping[str, Any], ids: Mapping[str, int], folder: Path) -> dict:
    text = token["content"]
    if text not in ids:
        raise CheckpointError(f"{folder}: a special token has no id", received=repr(text))
    flags = {flag: bool(token.get(flag, False)) for flag in ("single_word", "lstrip", "rstrip", "normalized")}
    return {"id": ids[text], "content": text, **flags, "special": True}


def _ids(added: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    return {text: int(token["id"]) for text, token in added.items()}


def _id(text: str, vocabulary: Mapping[str, int], added: Mapping[str, Mapping[str, Any]]) -> int:
    return {**vocabulary, **_ids(added)}[text]


def _document(vocabulary: dict[str, int], merges: list[str], added: list[dict], padding: int, unknown: str) -> dict[str, Any]:
    """A `tokenizer.json` that Hugging Face's package reads too; it pads to the longest prompt, ours to the encoder's length."""
    text = next((piece for piece, number in vocabulary.items() if number == padding), END)
    parts = [{"type": "Split", "pattern": {"Regex": WORDS}, "behavior": "Removed", "invert": True},
             {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}]
    cleaning = [{"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}, {"type": "Lowercase"}]
    return {
        "version": "1.0", "truncation": None,
        "padding": {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": padding,
                    "pad_type_id": 0, "pad_token": text},
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": cleaning},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": parts},
        "post_processor": {"type": "RobertaProcessing", "sep": [END, vocabulary[END]], "cls": [START, vocabulary[START]],
                           "trim_offsets": False, "add_prefix_space": False},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": unknown, "continuing_subword_prefix": "",
                  "end_of_word_suffix": WORD_END, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": vocabulary, "merges": merges},
    }


def _optional(path: Path) -> Mapping[str, Any]:
    return read_object(path)[0] if os.path.isfile(path) else {}
