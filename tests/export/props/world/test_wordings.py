import re

import numpy as np
import pytest

from benchmarks.quality.prompts import paraphrases
from meshwright.export.props.world import captions, phrases, wordings
from meshwright.export.props.world.families import FAMILIES, SECOND_PART, USUAL
from meshwright.export.props.world.other_things import OTHER_THINGS
from meshwright.export.props.world.palette import NAMES


def test_every_family_and_colour_has_words():
    assert set(wordings.NOUNS) == set(wordings.MAIN_PARTS) == set(FAMILIES)
    assert set(wordings.MORE_PARTS) == set(SECOND_PART.values()) and set(wordings.MORE_COLORS) == set(NAMES)


@pytest.mark.parametrize("family", FAMILIES)
def test_free_captions_name_the_thing_and_what_is_not_usual(family):
    rng = np.random.default_rng(0)
    second = "teal"
    seen = set()
    for _ in range(60):
        text = wordings.free_caption(family, USUAL[family][0], second, rng)
        assert any(noun in text for noun in wordings.FREE.nouns[family])
        assert any(word in text for word in wordings.FREE.colors[second])
        seen.add(any(word in text for word in wordings.FREE.colors[USUAL[family][0]]))
    assert True in seen, "the main colour is said too, at times"


def test_the_second_colour_can_be_named_alone():
    rng = np.random.default_rng(0)
    texts = [captions.caption("house", None, "red", rng, wordings.FREE) for _ in range(20)]
    assert all(any(word in text for word in wordings.FREE.colors["red"]) for text in texts)
    assert not any("walls" in text or "bricks" in text for text in texts)


def test_no_word_for_a_thing_stands_for_two_families():
    family_of: dict[str, str] = {}
    for table in (captions.NOUNS, wordings.NOUNS, phrases.NAMES, phrases.USES):
        for family, nouns in table.items():
            assert all(family_of.setdefault(noun, family) == family for noun in nouns)


def test_paraphrases_and_other_things_share_no_name_of_a_thing():
    nouns = [noun for table in (wordings.NOUNS, phrases.NAMES, phrases.USES) for names in table.values() for noun in names]
    for prompt in paraphrases():
        assert not [noun for noun in nouns if re.search(rf"\b{re.escape(noun)}\b", prompt.text)], prompt.text
    assert not {f"a {noun}" for noun in nouns} & set(OTHER_THINGS) and len(set(OTHER_THINGS)) == len(OTHER_THINGS)
