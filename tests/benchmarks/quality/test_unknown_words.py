from benchmarks.quality.unknown_words import OUTSIDE, outside
from meshwright.export.props.world import captions, wordings
from meshwright.export.props.world.other_things import OTHER_THINGS


def test_what_is_asked_for_is_in_no_list_that_the_check_is_made_from():
    nouns = {noun for table in (captions.NOUNS, wordings.NOUNS) for names in table.values() for noun in names}
    assert not set(OUTSIDE) & nouns and not {f"a {thing}" for thing in OUTSIDE} & set(OTHER_THINGS)
    assert len(set(OUTSIDE)) == len(OUTSIDE) >= 100


def test_prompts_take_forms_and_colours_in_turn():
    assert outside()[:3] == ["a dragon", "an orange horse", "cat, low poly"]
