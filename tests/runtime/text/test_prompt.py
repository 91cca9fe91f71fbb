"""The WordPiece reader against the `tokenizers` package, and the prompts that are refused."""

import json

import numpy as np
import pytest
import tokenizers

from meshwright.runtime import InputError, PackFormat
from meshwright.runtime.text.prompt import WordPiece, load_tokenizer
from tests.runtime.tiny_pack import tokenizer

PIECES = ("[PAD] [UNK] [CLS] [SEP] a red chair with white leg ##s , . - ' $ + ` cafe naive strasse ##e un ##aff ##able "
          "20 ##24 木 椅 ! ? ( ) x ## ##x").split()
PROMPTS = [
    "", "a red chair", "A  RED\u00a0chair", "chairs, with (white) legs.", "caf\u00e9 na\u00efve", "cafe\u0301",
    "unaffable", "unknownword chair", "2024", "\u6728\u6905chair", "don't", "$20+x", "x`x", "\U0001f600 chair",
    "zero\u200bwidth", "a\ufeffred", "x" * 101, "x" * 100, "stra\u00dfe", "\u0130stanbul", "\u03a3\u03c3\u03c2",
    "a red chair " * 40, "\u2014 dash", "e\u0301\u0302", "\ufffd", "\u00ad", "\u2028a",
]


@pytest.fixture(scope="module")
def vocabulary() -> dict[str, int]:
    return {piece: i for i, piece in enumerate(dict.fromkeys(PIECES))}


@pytest.fixture(scope="module")
def reference(vocabulary: dict[str, int]) -> tokenizers.Tokenizer:
    """The same tokenizer built from the package's own parts."""
    pieces = tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100)
    made = tokenizers.Tokenizer(pieces)
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.enable_truncation(16)
    made.enable_padding(length=16)
    return made


@pytest.mark.parametrize("prompt", PROMPTS, ids=ascii)
def test_matches_the_tokenizers_package(prompt, vocabulary, reference):
    expected = reference.encode(prompt)
    tokens = WordPiece(vocabulary, 16).encode(prompt)
    assert tokens.input_ids.tolist() == [expected.ids]
    assert tokens.attention_mask.tolist() == [expected.attention_mask]
    assert tokens.input_ids.dtype == tokens.attention_mask.dtype == np.int64


def test_a_long_prompt_is_cut_with_a_notice(vocabulary):
    tokens = WordPiece(vocabulary, 16).encode_prompt("a red chair " * 8334)
    assert tokens.attention_mask.sum() == 16
    assert tokens.notices == ("the prompt has 25002 tokens; the text encoder reads the first 14",)


def test_emoji_beside_words_are_noticed(vocabulary):
    tokens = WordPiece(vocabulary, 16).encode_prompt("a red chair \U0001f600")
    assert tokens.notices == ("words unknown to the text encoder: '\U0001f600'",)


@pytest.mark.parametrize(("prompt", "message"), [
    ("", "empty"), (" \u3000", "empty"),
    ("a\x00chair", "U\\+0000"), ("a\nchair", "U\\+000A"), ("a\x1b[31m", "U\\+001B"),
    ("a\udcff", "U\\+DCFF"), ("\U0001f600", "knows none of the words"), ("x" * 100_000, "knows none of the words"), (None, "empty"),
])
def test_refused_prompts(prompt, message, vocabulary):
    with pytest.raises(InputError, match=message):
        WordPiece(vocabulary, 16).encode_prompt(prompt)


def test_reads_a_tokenizer_file(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(tokenizer()))
    assert load_tokenizer(path, 8).encode("a chairs").input_ids.tolist() == [[2, 4, 7, 12, 3, 0, 0, 0]]


@pytest.mark.parametrize("change", [
    {"type": "BPE"}, {"vocab": {"a": 0}}, {"vocab": 3}, {"unk_token": "[NONE]"},
])
def test_refuses_other_tokenizer_files(change, tmp_path):
    document = tokenizer()
    document["model"] |= change
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(document))
    with pytest.raises(PackFormat):
        load_tokenizer(path, 8)


def test_refuses_a_file_that_is_not_json(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text("{")
    with pytest.raises(PackFormat, match="tokenizer.json"):
        load_tokenizer(path, 8)
