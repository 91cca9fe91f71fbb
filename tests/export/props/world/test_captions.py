import numpy as np
import pytest

from meshwright.export.props.world.captions import NOUNS, caption
from meshwright.export.props.world.families import FAMILIES
from meshwright.export.props.world.palette import COLORS, WORDS, jittered, nearest


@pytest.mark.parametrize("family", FAMILIES)
def test_captions_say_the_object_and_the_colours_asked_for(family):
    rng, seen = np.random.default_rng(0), set()
    for _ in range(40):
        text = caption(family, "teal", "orange", rng)
        assert any(noun in text for noun in NOUNS[family])
        assert any(word in text for word in WORDS["teal"]) and any(word in text for word in WORDS["orange"])
        seen.add(text)
        one_color, none = caption(family, "purple", None, rng), caption(family, None, None, rng)
        assert any(word in one_color for word in WORDS["purple"])
        assert any(noun in none for noun in NOUNS[family])
    assert len(seen) > 25, "wording varies"


def test_captions_follow_their_generator_alone():
    one, other = ([caption("car", "red", "black", rng) for _ in range(9)] for rng in map(np.random.default_rng, (3, 3)))
    assert one == other


def test_paint_is_still_called_by_its_name():
    rng = np.random.default_rng(0)
    for name in COLORS:
        assert {nearest(jittered(name, rng)) for _ in range(50)} == {name}
