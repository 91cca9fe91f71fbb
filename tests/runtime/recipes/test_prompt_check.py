import pytest

from meshwright.runtime import Notice, Pipeline
from tests.runtime.simulated_gpu import FAST
from tests.runtime.tiny_pack import GRAPHS, SHARP_IT, write

# "known" is 0, "others" one state of the first word: positive for "red", negative for "chair" (see TEXT of the tiny pack).
CHECK = """check (float[1,12,8] states) => (float[1,2] likeness) {
    begin = Constant<value = int64[3] {0, 1, 0}>()
    end = Constant<value = int64[3] {1, 2, 1}>()
    one = Slice(states, begin, end)
    shape = Constant<value = int64[2] {1, 1}>()
    others = Reshape(one, shape)
    none = Constant<value = float {0.0}>()
    known = Mul(others, none)
    likeness = Concat<axis = 1>(known, others)
}"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    return Pipeline.open(write(tmp_path_factory.mktemp("packs") / "checked", {**GRAPHS, "prompt_check": CHECK}, SHARP_IT), threads=1)


def notices(pipe, prompt):
    return [event.message for event in pipe.stream(prompt, **FAST) if isinstance(event, Notice)]


def test_a_prompt_that_is_more_like_other_things_gets_a_notice(checked):
    (notice,) = notices(checked, "red chair")  # sin(0.3 * 5) > 0
    assert notice == ("the prompt seems to ask for something that the pack tiny does not know: "
                      "what comes out is the nearest thing that it makes")
    assert checked.generate("red chair", **FAST).notices == (notice,)


def test_other_prompts_get_none(checked):
    assert notices(checked, "cafe chair") == []  # sin(0.3 * 15) < 0
