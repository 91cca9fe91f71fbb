"""Some hundred damaged files of every kind that is read: `benchmarks.hard` runs thousands of the same cases.

Nothing but the errors of `engines/errors.py` may come of them, soon, in bounded memory.
"""

from random import Random

import pytest

from benchmarks.hard.input_cases import Meshes, Pictures
from benchmarks.hard.model_cases import Models
from benchmarks.hard.mutations import json_changed
from benchmarks.hard.pack_cases import GoldenFiles, Packs, Tokenizers
from benchmarks.hard.tensor_cases import Checkpoints, LoraFiles
from benchmarks.hard.worker import one, own_environment
from meshwright.engines.machine.memory import peak_bytes, reset_peak

# Cases, and outcomes that must all be among them, so that what is damaged is not always refused at the door.
KINDS = {Packs: (60, {"refused", "opened"}), Tokenizers: (100, {"refused", "read"}), GoldenFiles: (60, {"refused", "read"}),
         Models: (60, {"refused for what is in it", "refused until it is trusted"}), LoraFiles: (100, {"refused", "read"}),
         Checkpoints: (60, {"refused", "read"}), Pictures: (500, {"refused", "read"}), Meshes: (60, {"refused", "read"})}
# Above what the process held before: other tests of it leave PyTorch and more.
MAX_MIB = 1536


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_damaged_files_are_read_or_refused(kind, tmp_path, monkeypatch):
    for name, value in own_environment(tmp_path / "user").items():
        monkeypatch.setenv(name, value)
    (tmp_path / "work").mkdir()
    cases, (count, wanted) = kind(tmp_path / "work"), KINDS[kind]
    reset_peak()
    held = (peak_bytes() or 0) / (1 << 20)
    ended = [one(cases, number, seed=0) for number in range(count)]
    cases.close()
    problems = {number: problem for number, (*_, problem) in enumerate(ended) if problem}
    assert problems == {}
    assert wanted <= {outcome for outcome, *_ in ended}
    assert max(seconds for _, seconds, *_ in ended) < kind.limit and max(mib for _, _, mib, _ in ended) < held + MAX_MIB


def test_the_same_number_is_the_same_case():
    document = {"a": [1, 2, {"b": "text"}], "c": 3.5}
    changed = [json_changed(document, Random(f"0 x {number}")) for number in range(50)]
    assert repr(changed) == repr([json_changed(document, Random(f"0 x {number}")) for number in range(50)])
    assert document == {"a": [1, 2, {"b": "text"}], "c": 3.5} and sum(each != document for each in changed) > 40
