"""Packs as the exporter writes them: complete or not at all, and every failure told at once."""

import hashlib
import json
import subprocess
import sys
import weakref

import numpy as np
import pytest

from meshwright.engines import open_engine
from meshwright.engines.errors import ExportError
from meshwright.export.pack.events import ComponentDone, ComponentStarted
from meshwright.export.pack.progress import facts
from meshwright.export.pack.writer import write_pack
from meshwright.export.spec import FP16_STORED, FP32
from meshwright.export.tiny import manifest
from tests.export.small import Broken, Rows, spec


@pytest.fixture
def tokenizer(tmp_path):
    path = tmp_path / "source.json"
    path.write_text("{}")
    return {"tokenizer.json": path}


def components():
    return [spec(kind="one", tolerance=0.25), spec(kind="two", tolerance=0.25)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of a pack, pack.json as `write_pack` returned it, and what was told meanwhile. Nothing may change the folder."""
    folder, events = tmp_path_factory.mktemp("written"), []
    (folder / "source.json").write_text("{}")
    document = write_pack(folder / "packs" / "p", components(), manifest(), {"tokenizer.json": folder / "source.json"},
                          on_component=events.append)
    return folder / "packs" / "p", document, events


def test_a_pack_is_complete_and_hashed(written):
    folder, document, _ = written
    assert json.loads((folder / "pack.json").read_text("utf-8")) == document
    assert {path.name for path in folder.iterdir()} == {"pack.json", *document["files"]}
    assert set(document["files"]) == {"one.onnx", "two.onnx", "golden.npz", "tokenizer.json"}
    for name, entry in document["files"].items():
        data = (folder / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    assert [path.name for path in folder.parent.iterdir()] == ["p"]


def test_a_component_is_described_from_its_file(written):
    entry = written[1]["components"]["one"]
    assert entry["error"].keys() == {"abs", "rel"} and entry["error"]["rel"] < 1e-5
    assert entry["errors"] == {"noise": entry["error"]}
    assert {key: value for key, value in entry.items() if not key.startswith("error")} == {
        "kind": "one", "file": "one.onnx", "precision": "fp32", "compute": "fp32", "tolerance": 0.25, "parameters": 26,
        "inputs": [{"name": "rows", "dtype": "float32", "shape": [1, "n", 3]}],
        "outputs": [{"name": "out", "dtype": "float32", "shape": [1, "n", 2]}]}


def test_golden_inputs_give_the_golden_outputs(written):
    with np.load(written[0] / "golden.npz") as golden, open_engine(written[0] / "two.onnx") as engine:
        assert set(golden) == {f"{kind}/{tensor}" for kind in ("one", "two") for tensor in ("in/rows", "out/out")}
        assert not np.array_equal(golden["one/in/rows"], golden["two/in/rows"])
        out = engine.run({"rows": golden["two/in/rows"]})["out"]
        np.testing.assert_allclose(out, golden["two/out/out"], atol=1e-4)


def test_every_failure_is_told_and_nothing_is_left(tmp_path, tokenizer):
    bad = [spec(kind="good"), spec(kind="strayed", reference=Rows(shift=1.0)), spec(Broken(), kind="broken"),
           spec(kind="undefined", reference=Rows(shift=float("nan")))]
    with pytest.raises(ExportError) as caught:
        write_pack(tmp_path / "p", bad, manifest(), tokenizer)
    message = str(caught.value)
    assert message.startswith("3 of 4 components failed")
    assert all(name in message for name in ("strayed", "broken", "undefined")) and "good" not in message
    assert [path.name for path in tmp_path.iterdir()] == ["source.json"]


def test_an_old_pack_is_replaced_only_by_a_finished_one(tmp_path, tokenizer):
    write_pack(tmp_path / "p", components(), manifest(1), tokenizer)
    with pytest.raises(ExportError):
        write_pack(tmp_path / "p", [spec(Broken(), kind="broken")], manifest(2), tokenizer)
    assert json.loads((tmp_path / "p" / "pack.json").read_text("utf-8"))["version"] == "1"
    write_pack(tmp_path / "p", [spec(kind="three")], manifest(3), tokenizer)
    assert {path.name for path in (tmp_path / "p").iterdir()} == {"pack.json", "three.onnx", "golden.npz", "tokenizer.json"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p", "source.json"]


def test_another_folder_is_never_replaced(tmp_path, tokenizer):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "thesis.txt").write_text("precious")
    with pytest.raises(ExportError, match="in the way"):
        write_pack(tmp_path / "p", components(), manifest(), tokenizer)
    assert [path.name for path in (tmp_path / "p").iterdir()] == ["thesis.txt"]


def test_a_failure_between_the_components_leaves_nothing(tmp_path, tokenizer):
    def interrupt(event):
        if event.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pack(tmp_path / "p", components(), manifest(), tokenizer, on_component=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["source.json"]


def test_missing_entries_files_and_doubled_components_are_refused_first(tmp_path, tokenizer):
    lacking = {key: value for key, value in manifest().items() if key not in ("license", "views")}
    with pytest.raises(ExportError, match="expected license, views"):
        write_pack(tmp_path / "p", components(), lacking, tokenizer)
    for value in (float("nan"), {"a", "set"}):
        with pytest.raises(ExportError, match="the pack's manifest is not JSON; received "):
            write_pack(tmp_path / "p", components(), manifest() | {"choices": value}, tokenizer)
    with pytest.raises(ExportError, match="no-such-file"):
        write_pack(tmp_path / "p", components(), manifest(), {"tokenizer.json": tmp_path / "no-such-file"})
    with pytest.raises(ExportError, match="more than once; received one"):
        write_pack(tmp_path / "p", [spec(kind="one"), spec(kind="one")], manifest(), tokenizer)
    assert [path.name for path in tmp_path.iterdir()] == ["source.json"]


def test_without_the_parity_check_no_error_is_claimed(tmp_path, tokenizer):
    strayed = [spec(kind="one", reference=Rows(shift=1.0))]
    assert write_pack(tmp_path / "p", strayed, manifest(), tokenizer, check_parity=False)["components"]["one"]["error"] == {}


def test_each_component_is_announced_and_reported(written):
    folder, document, events = written
    assert events[::2] == [ComponentStarted("one", 1, 2), ComponentStarted("two", 2, 2)]
    done = events[3]
    assert isinstance(done, ComponentDone) and (done.kind, done.number, done.count) == ("two", 2, 2)
    assert done.parameters == 26 and done.bytes == (folder / "two.onnx").stat().st_size
    assert done.error.rel == document["components"]["two"]["error"]["rel"]
    assert 0 < done.seconds < 60 and done.peak_bytes > 1e8
    assert facts(done).startswith(": 26 parameters, 0.0 MB, relative error ")


@pytest.mark.parametrize("precision", [FP32, FP16_STORED])
def test_a_generator_keeps_one_network_at_a_time(tmp_path, tokenizer, precision):
    weights, alive = [], []

    def look():
        alive.append([weight() is not None for weight in weights])

    def build(kind):
        look()
        module = Rows(width=20_000)
        weights.append(weakref.ref(module.layers[0].weight))
        return spec(module, kind, precision)

    def tell(event):
        if isinstance(event, ComponentDone):
            assert event.count is None
            look()

    write_pack(tmp_path / "p", (build(kind) for kind in ("one", "two", "three")), manifest(), tokenizer, on_component=tell)
    assert alive == [[], [False], [False], [False] * 2, [False] * 2, [False] * 3]


def test_weights_beside_a_graph_are_files_of_the_pack(tmp_path, tokenizer):
    events = []
    wide = [spec(Rows(width=2000), kind="one", precision=FP16_STORED)]
    document = write_pack(tmp_path / "p", wide, manifest(), tokenizer, on_component=events.append, largest_file=10_000)
    assert {"one.onnx", "one.onnx.data"} <= set(document["files"])
    assert events[1].bytes == sum(document["files"][name]["bytes"] for name in ("one.onnx", "one.onnx.data"))
    assert document["components"]["one"]["error"]["rel"] < 1e-3


FULL_DISK = """
import resource, sys
from meshwright.engines.errors import ExportError
from meshwright.export.pack.writer import write_pack
from meshwright.export.tiny import manifest
from tests.export.small import Rows, spec

resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    write_pack(sys.argv[1], [spec(kind="small"), spec(Rows(width=int(sys.argv[2])), kind="large")], manifest(), {})
except ExportError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files to stand for a full disk")
@pytest.mark.parametrize("width", [2_000, 200_000])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, width):
    ended = subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path / "p", str(width)], capture_output=True, text=True, timeout=300)
    assert ended.stdout.startswith("the disk is full: the pack "), ended.stderr
    assert "make room" in ended.stdout
    assert not list(tmp_path.iterdir())
