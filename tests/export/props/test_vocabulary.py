"""The word table of the pack's text encoder: a cut of the model's own, that reads what captions say as before."""

import json
import re

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from meshwright.export.props import vocabulary
from meshwright.export.props.training import language
from meshwright.export.props.world import wordings
from meshwright.export.props.world.dataset import draw_look
from meshwright.export.props.world.world import caption_of
from meshwright.runtime.text.prompt import load_tokenizer
from tests.docs.pages import ROOT

SHIPPED = ROOT / "runtime" / "packs" / "props" / "tokenizer.json"
PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "c", "red", "chair", "##h", "##a", "##i", "##r", "##s")


def whole():
    return Tokenizer.from_file(str(language.model_folder() / "tokenizer.json"))


@pytest.fixture
def cut(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(vocabulary.cut_tokenizer(PIECES), "utf-8")
    return path


def test_a_cut_tokenizer_numbers_its_pieces_and_spells_what_it_lacks(cut):
    theirs, ours = Tokenizer.from_file(str(cut)), load_tokenizer(cut, 12)
    theirs.no_padding()
    assert theirs.encode("a red chair").tokens == ["[CLS]", "a", "red", "chair", "[SEP]"]
    assert theirs.encode("chais").tokens == ["[CLS]", "c", "##h", "##a", "##i", "##s", "[SEP]"], "a word that was left out"
    for text in ("a red chair", "chais", "house"):
        ids = theirs.encode(text).ids
        assert ours.encode(text).input_ids[0, :len(ids)].tolist() == ids and max(ids) < len(PIECES)


def test_a_cut_model_gives_the_same_states(cut):
    model = language.load()[0]
    smaller = vocabulary.cut_model(model, PIECES)
    assert smaller.config.vocab_size == smaller.get_input_embeddings().weight.shape[0] == len(PIECES) < model.config.vocab_size
    tokenizers = whole(), Tokenizer.from_file(str(cut))
    states = []
    for net, tokenizer in zip((model, smaller), tokenizers, strict=True):
        tokenizer.no_padding()
        states.append(net(input_ids=torch.tensor([tokenizer.encode("a red chair").ids])).last_hidden_state)
    torch.testing.assert_close(*states)


def test_the_shipped_tokenizer_reads_captions_as_the_model_does():
    full, shipped, rng = whole(), Tokenizer.from_file(str(SHIPPED)), np.random.default_rng(4)
    for _ in range(300):
        look = draw_look(rng)
        for make in (caption_of, wordings.free_caption):
            text = make(look.family, look.first, look.second, rng)
            assert shipped.encode(text).tokens == full.encode(text).tokens, text


def test_the_shipped_table_holds_what_the_rule_says():
    pieces = json.loads(SHIPPED.read_text("utf-8"))["model"]["vocab"]
    assert list(pieces.values()) == list(range(vocabulary.ROWS))
    assert vocabulary.world_pieces() <= set(pieces)
    assert {f"{before}{letter}" for before in ("", "##") for letter in "abcdefghijklmnopqrstuvwxyz0123456789"} <= set(pieces)
    assert not [piece for piece in pieces if piece.startswith("[unused") or re.fullmatch(r"\d{4}", piece)]


@pytest.mark.slow
def test_likely_things_are_told_by_what_the_encoder_finds_alike():
    words = ["kettle", "therefore", "stool", "beyond", "wolf", "slightly", "anchor", "never"]
    likely = vocabulary.likely_things(words, words)
    assert likely[::2].min() > likely[1::2].max()
