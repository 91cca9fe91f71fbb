"""Tables, and figures that are kept while they are measured."""

import json

import pytest

from benchmarks.harness.results import Results, figure, gib, machine, table


def opened(folder, **fresh):
    return Results(folder, "speed", {"size": "small", "packs": {}, **fresh}, lambda document: f"# {len(document['packs'])}", fixed=["size"])


def test_a_stopped_run_goes_on(tmp_path):
    results = opened(tmp_path / "new")
    results.document["packs"]["a"] = 1
    results.note(["slow", "slow"])
    results.save()
    again = opened(tmp_path / "new")
    assert again.document == {"size": "small", "packs": {"a": 1}, "notes": ["slow"]}
    assert json.loads((tmp_path / "new/speed.json").read_text()) == again.document
    assert (tmp_path / "new/speed.md").read_text() == "# 1\n" and len(list((tmp_path / "new").iterdir())) == 2
    with pytest.raises(SystemExit, match="holds figures of another size"):
        opened(tmp_path / "new", size="full")


def test_tables_and_figures():
    assert table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"
    assert [figure(None), figure(0.25), figure(2.5e6, ".1f", 1e6)] == ["-", "0.250", "2.5"]
    assert [gib(3 << 29), gib(None), gib(0)] == ["1.50", "-", "-"]


def test_the_machine_is_described():
    assert machine()["cores"] >= 1 and machine()["processor"]
