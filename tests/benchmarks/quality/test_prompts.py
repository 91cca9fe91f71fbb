import re
from functools import cache

import numpy as np
import pytest

from benchmarks.quality import prompts
from meshwright.export.props.world import captions
from meshwright.export.props.world.families import FAMILIES, SECOND_PART
from meshwright.export.props.world.palette import NAMES, WORDS


def test_held_out_prompts_take_the_families_in_turn_and_do_not_change():
    found = prompts.held_out(25)
    assert [p.families[0] for p in found] == [list(FAMILIES)[i % 20] for i in range(25)]
    assert found[:5] == prompts.held_out(5)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_caption_names_is_read_back(family):
    rng = np.random.default_rng(1)
    for _ in range(30):
        assert not prompts.names_colors(family, captions.caption(family, None, None, rng))
        text = captions.caption(family, "teal", None, rng)
        assert prompts.names_colors(family, text) and not prompts.names_part(family, text)
        assert prompts.names_part(family, captions.caption(family, "teal", "orange", rng))


def test_paraphrases_are_well_formed():
    found = prompts.paraphrases()
    assert len(found) >= 60 and len({p.text for p in found}) == len(found)
    assert {family for p in found for family in p.families} == set(FAMILIES)
    for prompt in found:
        assert {prompt.first, prompt.second} <= {*NAMES, None}


def test_no_paraphrase_can_be_a_training_caption():
    for prompt in prompts.paraphrases():
        assert not any(is_caption(family, prompt.text) for family in prompt.families), prompt.text


def test_what_is_a_training_caption_is_seen():
    rng = np.random.default_rng(2)
    for family in ("chair", "car", "house"):
        for first, second in ((None, None), ("red", None), ("orange", "white"), ("black", "black")):
            text = captions.caption(family, first, second, rng)
            assert is_caption(family, text), text


def is_caption(family, text):
    """Whether a training caption of a family can be just that."""
    ends = [frame.split("{}") for frame in set(captions.FRAMES)]
    inner = [text[len(a):len(text) - len(b)] for a, b in ends if text.startswith(a) and text.endswith(b)]
    return any(pattern.fullmatch(part) for pattern in patterns(family) for part in inner)


@cache
def patterns(family):
    """Every form that a training caption of a family can have within its frame."""
    part = SECOND_PART[family]
    colors = {word for words in WORDS.values() for word in words}
    words = {"noun": set(captions.NOUNS[family]), "part": captions.PART_WORDS.get(part, (part,)),
             "c1": colors, "c2": colors}
    options = {name: f"(?:{'|'.join(map(re.escape, found))})" for name, found in words.items()}
    templates = {*captions.PLAIN, *captions.MAIN_ONLY, *captions.BOTH, *captions.SAME}
    return [re.compile(re.sub(r"\ba (?=\{)", "an? ", text).format(**options)) for text in templates]
