"""The CLIP tokenizer against the `tokenizers` package."""

import json
import time

import numpy as np
import pytest
import tokenizers

from meshwright.runtime import InputError, PackFormat
from meshwright.runtime.text.bpe import BYTE_LETTERS, AddedToken, BytePairs, clean, join_pairs, split_words
from meshwright.runtime.text.prompt import load_tokenizer
from tests.runtime.clip_vocabulary import END, START, document, letters, merges, vocabulary

LENGTH = 77
PROMPTS = [
    "", " ", "a red chair", "A  RED\u00a0chair", "chairs, with (white) legs.", "caf\u00e9", "cafe\u0301", "CAF\u00c9", "don't we'll it's",
    "'summer", "!!'s", "chair!", "!", "a ... b", "2024 chairs", "\u00b2\u2167\u0663", "\u6728\u6905chair", "\U0001f600 chair",
    "\U0001f468\u200d\U0001f469", "zero\u200bwidth", "tab\tand\nline", "x\x1cy", "\u0130stanbul", "\u03a3\u03c3\u03a3", "stra\u00dfe",
    "abababab", "bababa", "a_b-c", "$20+x", "e\u0301\u0302", f"a {END} chair", f"{START}chair", "<|ENDOFTEXT|>!!", "<|",
    "a red chair " * 40,
    "\u3000\u2028a", "\u0e01\u0e33", "\u0915\u094d\u0937", "\uac00\u1100\u1161", "\ufb01ne", "\u00ad", "\ufffd", "\ue000", "\u1e9e",
    "x" * 200,
]


@pytest.fixture(scope="module")
def ours() -> BytePairs:
    return BytePairs(vocabulary(), merges(), LENGTH, padding=0, added=[AddedToken("!", 0)])


@pytest.fixture(scope="module")
def reference() -> tokenizers.Tokenizer:
    """The same tokenizer built from the package's own parts."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary(), merges(), unk_token=END, end_of_word_suffix="</w>"))
    normal, before = tokenizers.normalizers, tokenizers.pre_tokenizers
    made.normalizer = normal.Sequence([normal.NFC(), normal.Replace(tokenizers.Regex(r"\s+"), " "), normal.Lowercase()])
    words = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    made.pre_tokenizer = before.Sequence([before.Split(tokenizers.Regex(words), "removed", invert=True),
                                          before.ByteLevel(add_prefix_space=False)])
    ids = vocabulary()
    made.post_processor = tokenizers.processors.RobertaProcessing((END, ids[END]), (START, ids[START]), False, False)
    made.add_special_tokens(["!", START, END])
    made.enable_truncation(LENGTH)
    made.enable_padding(length=LENGTH, pad_id=0, pad_token="!")
    return made


def assert_same(ours: BytePairs, reference: tokenizers.Tokenizer, prompt: str) -> None:
    expected, tokens = reference.encode(prompt), ours.encode(prompt)
    assert tokens.input_ids.tolist() == [expected.ids], ascii(prompt)
    assert tokens.attention_mask.tolist() == [expected.attention_mask]


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: ascii(prompt)[:30])
def test_matches_the_tokenizers_package(prompt, ours, reference):
    assert_same(ours, reference, prompt)


def test_matches_on_random_text(ours, reference):
    """Letters of the merges, contractions, and characters of every part of Unicode that both sides know."""
    random = np.random.default_rng(0)
    odd = [chr(c) for c in (*range(1, 0x250), *range(0x300, 0x600), *range(0x900, 0xA00), *range(0x1E00, 0x2200), *range(0x3000, 0x3200),
                            *range(0xAC00, 0xAC40), 0x1F600, 0x1D7D8, 0x20000)]
    alphabet = list("abcdehirsl'!. <|>12") * 80 + odd
    for _ in range(500):
        assert_same(ours, reference, "".join(random.choice(alphabet, random.integers(1, 40))))


def test_published_ids():
    """The empty prompt and the letters of the published vocabulary, whose last two ids are the special ones."""
    assert (letters()[0], letters()[-1], len(letters())) == ("!", "\u0143", 256)
    assert {ord(letter): letter for letter in letters()[:94]} == {code: BYTE_LETTERS[code] for code in range(33, 127)}
    assert (BYTE_LETTERS[0x20], BYTE_LETTERS[0x0A], BYTE_LETTERS[0xAD]) == ("\u0120", "\u010a", "\u0143")
    ids = vocabulary()
    tokens = BytePairs(ids, merges(), 6, padding=0).encode("")
    assert tokens.input_ids.tolist() == [[len(ids) - 2, len(ids) - 1, 0, 0, 0, 0]]
    assert tokens.attention_mask.tolist() == [[1, 1, 0, 0, 0, 0]]
    assert BytePairs(ids, merges(), 4).encode("").input_ids.tolist() == [[len(ids) - 2, *[len(ids) - 1] * 3]]


def test_the_padding_token_is_one_wherever_it_stands():
    ids = vocabulary()
    plain, added = BytePairs(ids, merges(), 5), BytePairs(ids, merges(), 5, padding=0, added=[AddedToken("!", 0)])
    assert plain.encode("chair!").input_ids[0, 1:3].tolist() == [ids["chair</w>"], ids["!</w>"]]
    assert added.encode("chair!").input_ids[0, 1:3].tolist() == [ids["chair</w>"], 0]


def test_words():
    assert list(split_words("don't 's !!'s a1b22 (x)")) == ["don", "'t", "'s", "!!'", "s", "a", "1", "b", "2", "2", "(", "x", ")"]
    assert clean("A \t\u3000B\u03a3 e\u0301") == "a b\u03c3 \u00e9"


def test_pairs_join_in_the_order_of_the_merges():
    assert join_pairs([1, 1, 1, 1, 1], {(1, 1): (0, 2), (2, 2): (1, 3)}) == [3, 1]
    assert join_pairs([1, 2, 3], {(1, 2): (1, 4), (2, 3): (0, 5)}) == [1, 5]
    assert join_pairs([7], {}) == [7]


def test_a_word_of_any_length_takes_little_time(ours):
    started = time.perf_counter()
    tokens = ours.encode("ab" * 50_000)
    assert time.perf_counter() - started < 10
    assert tokens.notices == ("the prompt has 49999 tokens; the text encoder reads the first 75",)


def test_letters_that_the_vocabulary_lacks_are_noticed():
    ids = {"a</w>": 0, START: 1, END: 2}
    tokens = BytePairs(ids, [], 6).encode("a b")
    assert tokens.input_ids.tolist() == [[1, 0, 2, 2, 2, 2]]
    assert tokens.notices == ("words unknown to the text encoder: 'b'",)


@pytest.mark.parametrize(("prompt", "message"), [
    ("", "empty"), ("a\nchair", "U\\+000A"), (END, "none of the words"), ("!!!", "none of the words")])
def test_refused_prompts(prompt, message, ours):
    with pytest.raises(InputError, match=message):
        ours.encode_prompt(prompt)


def test_reads_a_tokenizer_file(tmp_path, ours):
    path = tmp_path / "tokenizer.json"
    whole = document()
    path.write_text(json.dumps(whole))
    assert load_tokenizer(path, LENGTH).encode("Red chairs!").input_ids.tolist() == ours.encode("Red chairs!").input_ids.tolist()
    whole["model"]["merges"] = merges()  # the newer form: pairs and not text
    path.write_text(json.dumps(whole))
    assert load_tokenizer(path, LENGTH).encode("Red chairs!").input_ids.tolist() == ours.encode("Red chairs!").input_ids.tolist()


@pytest.mark.parametrize(("model", "message"), [
    ({"type": "Unigram"}, "WordPiece or BPE"), ({"end_of_word_suffix": None}, "not a CLIP tokenizer"),
    ({"vocab": {"a": 0}}, "special piece"), ({"unk_token": "[UNK]"}, "special piece"),
    ({"merges": ["a zzz"]}, "'zzz'"), ({"merges": ["a"]}, "cannot be read"), ({"merges": 3}, "cannot be read"),
])
def test_refuses_other_tokenizer_files(model, message, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(document(**model)))
    with pytest.raises(PackFormat, match=message):
        load_tokenizer(path, LENGTH)
