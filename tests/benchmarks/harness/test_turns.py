"""Sides take turns. Those here only simulate measuring."""

from benchmarks.harness.turns import interleaved


class Side:
    """Answers with the given milliseconds, one each time; a text in their place is a failure. calls : shared with the others"""

    def __init__(self, name, times, calls):
        self.name, self.times, self.calls = name, list(times), calls

    def ask(self, limit, **request):
        self.calls.append((self.name, request.get("repeat")))
        found = self.times.pop(0)
        return {"failed": found} if isinstance(found, str) else {"ms": [found] * request.get("repeat", 1), "events": True}


class Ticks:
    """A clock that moves by one at each look."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        self.seconds += 1.0
        return self.seconds


def test_sides_take_turns_and_the_first_answer_is_cold():
    calls = []
    sides = {"a": Side("a", [90, 1, 2, 3], calls), "b": Side("b", [80, 4, 5, 6], calls)}
    found = interleaved(sides, {"do": "run"}, budget=0, limit=9, fewest=3, most=9)
    assert [name for name, _ in calls] == ["a", "b"] * 4 and {repeat for _, repeat in calls} == {None}
    assert found["a"] == {"ms": [1, 2, 3], "runs": [], "cold_ms": 90, "events": True} and found["b"]["ms"] == [4, 5, 6]


def test_a_side_that_fails_is_asked_no_more_and_leaves_the_rest():
    calls = []
    sides = {"a": Side("a", ["no engine"], calls), "b": Side("b", [8, 4, "lost", 5], calls), "c": Side("c", [1] * 9, calls)}
    found = interleaved(sides, {"do": "run"}, budget=0, limit=9, fewest=3, most=3)
    assert found["a"] == {"failed": "no engine"} and found["b"] == {"failed": "lost"} and found["c"]["ms"] == [1, 1, 1]
    assert [name for name, _ in calls] == ["a", "b", "c", "b", "c", "b", "c", "c"]


def test_rounds_go_on_until_the_budget_is_spent():
    sides = {"a": Side("a", [1.0] * 99, [])}
    found = interleaved(sides, {"do": "run"}, budget=5.5, limit=9, fewest=2, most=50, now=Ticks())
    assert len(found["a"]["ms"]) == 7  # two without a look at the clock, then one a second


def test_short_work_is_repeated_within_an_answer():
    calls = []
    sides = {"fast": Side("fast", [500.0, 2.0, 2.0], calls), "slow": Side("slow", [300.0, 200.0, 200.0], calls)}
    found = interleaved(sides, {"do": "step"}, budget=0, limit=9, fewest=2, most=2, repeat_ms=100)
    assert [repeat for name, repeat in calls if name == "fast"] == [1, 1, 50]
    assert [repeat for name, repeat in calls if name == "slow"] == [1, 1, 1]
    assert len(found["fast"]["ms"]) == 51
