"""Tokenizer folders in their published forms, read by us and by transformers."""

import json

import pytest
import tokenizers
from transformers import CLIPTokenizer

from meshwright.engines.errors import CheckpointError
from meshwright.export.published.tokenizer import empty_prompt, tokenizer_document
from meshwright.runtime.text.prompt import load_tokenizer
from tests.runtime.clip_vocabulary import END, START, vocabulary, write_clip

PROMPTS = ["", "a red chair", "A Chair!! with legs", "don't; caf\u00e9 \U0001f600", "2 chairs", f"a {END} <|EndOfText|>!!", "\u6728\u6905",
           "a red chair " * 40]


def flagged(text, **flags):
    return {"content": text, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False} | flags


NAMED = {"bos_token": flagged(START), "eos_token": flagged(END), "unk_token": flagged(END), "pad_token": "!"}
CONFIG = {"model_max_length": 77, "tokenizer_class": "CLIPTokenizer", "pad_token": END,
          **{kind: flagged(text, __type="AddedToken") for kind, text in (("bos_token", START), ("eos_token", END), ("unk_token", END))}}
IDS = {START: len(vocabulary()) - 2, END: len(vocabulary()) - 1}
DECODER = {"0": flagged("!", normalized=False, special=True), str(IDS[START]): flagged(START, special=True),
           str(IDS[END]): flagged(END, normalized=False, special=True)}
FORMS = {
    "stable-diffusion-2": (CONFIG, NAMED),  # the two files disagree about the padding, and the map wins
    "with ids": (CONFIG | {"pad_token": "!", "added_tokens_decoder": DECODER}, NAMED),
    "clip": (CONFIG, NAMED | {"pad_token": END}),
    "config wins with ids": (CONFIG | {"added_tokens_decoder": DECODER}, NAMED),
}


@pytest.fixture(params=FORMS, ids=FORMS)
def folder(request, tmp_path):
    config, special = FORMS[request.param]
    return write_clip(tmp_path / "tokenizer", config=config, special=special)


def written(folder, document):
    path = folder / "made.json"
    path.write_text(json.dumps(document))
    return path


def test_reads_what_transformers_reads(folder):
    published, ours = CLIPTokenizer.from_pretrained(folder), load_tokenizer(written(folder, tokenizer_document(folder)), 77)
    for prompt in PROMPTS:
        expected = published(prompt, padding="max_length", max_length=77, truncation=True)
        tokens = ours.encode(prompt)
        assert tokens.input_ids.tolist() == [expected["input_ids"]], prompt
        assert tokens.attention_mask.tolist() == [expected["attention_mask"]]


def test_the_document_is_one_of_hugging_face(folder):
    document = tokenizer_document(folder)
    package, ours = tokenizers.Tokenizer.from_str(json.dumps(document)), load_tokenizer(written(folder, document), 77)
    for prompt in PROMPTS[:-1]:
        ids = package.encode(prompt).ids
        assert ours.encode(prompt).input_ids[0, :len(ids)].tolist() == ids


def test_a_whole_tokenizer_file_reads_as_its_parts(tmp_path):
    parts = write_clip(tmp_path / "parts", config=CONFIG, special=NAMED)
    whole = tmp_path / "whole"
    CLIPTokenizer.from_pretrained(parts).save_pretrained(whole)
    assert (whole / "tokenizer.json").is_file() and not (whole / "vocab.json").exists()
    published, ours = CLIPTokenizer.from_pretrained(whole), load_tokenizer(written(whole, tokenizer_document(whole)), 77)
    for prompt in PROMPTS:
        expected = published(prompt, padding="max_length", max_length=77, truncation=True)
        assert ours.encode(prompt).input_ids.tolist() == [expected["input_ids"]], prompt


def test_published_padding(tmp_path):
    assert tokenizer_document(write_clip(tmp_path / "a", config=CONFIG, special=NAMED))["padding"]["pad_id"] == 0
    assert tokenizer_document(write_clip(tmp_path / "b"))["padding"]["pad_id"] == IDS[END]


def test_shap_e_pads_with_id_0_whatever_its_folder_says(tmp_path):
    """diffusers' ShapEPipeline sets `pad_token_id` to 0; the word "!" stays a word there."""
    folder = write_clip(tmp_path / "tokenizer", config=CONFIG, special=NAMED | {"pad_token": END})
    published = CLIPTokenizer.from_pretrained(folder)
    published.pad_token_id = 0
    ours = load_tokenizer(written(folder, tokenizer_document(folder, padding=0)), 77)
    for prompt in PROMPTS:
        expected = published(prompt, padding="max_length", max_length=77, truncation=True)
        assert ours.encode(prompt).input_ids.tolist() == [expected["input_ids"]], prompt
    assert ours.encode("chair!").input_ids[0, 1:5].tolist() == [vocabulary()["chair</w>"], vocabulary()["!</w>"], IDS[END], 0]


def test_the_empty_prompt_is_that_of_the_runtime(tmp_path):
    document = tokenizer_document(write_clip(tmp_path / "tokenizer", config=CONFIG, special=NAMED))
    ours = load_tokenizer(written(tmp_path, document), 77).encode("")
    assert empty_prompt(document, 77) == ours.input_ids[0].tolist()


def cut_in_half(path):
    """As a download that stopped, at the end of a line."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:len(lines) // 2]), "utf-8")


@pytest.mark.parametrize(("spoil", "message"), [
    (lambda folder: (folder / "merges.txt").unlink(), "no merges.txt"),
    (lambda folder: (folder / "vocab.json").write_text('{"a": 0}'), r"lacks <\|startoftext\|>"),
    (lambda folder: (folder / "vocab.json").write_text("{"), "not JSON"),
    (lambda folder: (folder / "merges.txt").write_text("#version: 0.2\na b c\n"), "'a b c'"),
    (lambda folder: (folder / "merges.txt").write_bytes(b"\xff\xfe"), "merges.txt cannot be read"),
    (lambda folder: (folder / "merges.txt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git lfs pull"),
    (lambda folder: (folder / "merges.txt").write_text("version https://example.org\n"), "lacks pieces of the merges; received 3 missing"),
    (lambda folder: (folder / "merges.txt").write_text(""), "do not make all pieces of the vocabulary; received 30 left over"),
    (lambda folder: cut_in_half(folder / "merges.txt"), "do not make all pieces of the vocabulary; received 16 left over: !!</w>, "),
    (lambda folder: (folder / "tokenizer_config.json").write_text('{"added_tokens_decoder": {"x": 3}}'), "received TypeError"),
    (lambda folder: (folder / "special_tokens_map.json").write_text('{"pad_token": [1]}'), "holds no CLIP tokenizer; received TypeError"),
    (lambda folder: (folder / "tokenizer.json").write_text('{"model": 3}'), "received AttributeError.*; expected its files as"),
    (lambda folder: (folder / "tokenizer.json").write_text('{"model": {"type": "BPE", "end_of_word_suffix": "</w>"}}'), "KeyError"),
    (lambda folder: (folder / "special_tokens_map.json").write_text('{"pad_token": "[PAD]"}'), r"no id; received '\[PAD\]'"),
    (lambda folder: (folder / "tokenizer.json").write_text('{"model": {"type": "WordPiece"}}'), "a CLIP tokenizer; received .*WordPiece"),
])
def test_refused_folders(spoil, message, tmp_path):
    folder = write_clip(tmp_path / "tokenizer")
    spoil(folder)
    with pytest.raises(CheckpointError, match=message):
        tokenizer_document(folder)
    with pytest.raises(CheckpointError, match="not a folder"):
        tokenizer_document(tmp_path / "nothing")
