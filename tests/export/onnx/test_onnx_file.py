"""Files as the exporter writes them: open axes, stored halves, no random numbers, no traces of the machine."""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import pytest
import torch

from meshwright.engines import open_engine
from meshwright.engines.errors import ExportError
from meshwright.engines.onnxruntime.package import import_onnxruntime
from meshwright.export.onnx.onnx_file import OPSET, check_operators, write_onnx
from meshwright.export.spec import FP16_STORED, FP32, ComponentSpec, Input
from tests.export.small import Broken, Noisy, Rows, spec

onnxruntime = import_onnxruntime()


def run(path, rows):
    with open_engine(path, threads=1) as engine:
        return engine.run({"rows": rows})["out"]


def test_open_axes_keep_their_names_and_take_any_length(tmp_path):
    write_onnx(spec(), tmp_path / "rows.onnx")
    rows = np.random.default_rng(0).standard_normal((1, 700, 3), np.float32)
    with open_engine(tmp_path / "rows.onnx") as engine:
        assert [t.shape for t in (*engine.spec.inputs, *engine.spec.outputs)] == [(1, "n", 3), (1, "n", 2)]
        whole = engine.run({"rows": rows})["out"]
        parts = [engine.run({"rows": rows[:, i:i + 1]})["out"] for i in range(3)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole[:, :3], atol=1e-6)


def test_the_opset_is_the_packs(tmp_path):
    write_onnx(spec(), tmp_path / "rows.onnx")
    model = onnx.load(tmp_path / "rows.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]


def test_exports_are_identical_and_name_no_folder_of_this_machine(tmp_path, capfd):
    for name in ("first.onnx", "second.onnx"):
        write_onnx(spec(), tmp_path / name)
    data = (tmp_path / "first.onnx").read_bytes()
    assert data == (tmp_path / "second.onnx").read_bytes()
    for folder in (sys.prefix, str(Path(__file__).parent), str(Path(torch.__file__).parent)):
        assert folder.encode() not in data
    assert capfd.readouterr() == ("", "")


def test_random_operators_are_refused(tmp_path):
    with pytest.raises(ExportError, match="rows generates random numbers.*RandomUniformLike.*noise"):
        write_onnx(spec(Noisy()), tmp_path / "rows.onnx")
    assert not list(tmp_path.iterdir())


def test_operators_outside_the_standard_are_refused():
    text = '<ir_version: 10, opset_import: ["" : 23, "vendor" : 1]> g (float[2] x) => (float[2] y) { y = vendor.Fast(x) }'
    with pytest.raises(ExportError, match="vendor::Fast"):
        check_operators(onnx_ir.from_onnx_text(text), "rows")


def test_the_cause_of_a_failed_export_is_named(tmp_path):
    with pytest.raises(ExportError, match="rows cannot be exported; received .*this module cannot be traced$"):
        write_onnx(spec(Broken()), tmp_path / "rows.onnx")


def test_stored_halves_are_half_the_file_and_are_folded_at_load(tmp_path):
    wide = Rows(width=20_000)
    sizes = {}
    for precision in (FP32, FP16_STORED):
        path = tmp_path / f"{precision.weights}.onnx"
        write_onnx(spec(wide, precision=precision), path)
        sizes[precision.weights] = path.stat().st_size
    assert sizes["fp16"] < 0.51 * sizes["fp32"]
    rows = np.random.default_rng(0).standard_normal((1, 50, 3), np.float32)
    exact, stored = run(tmp_path / "fp32.onnx", rows), run(tmp_path / "fp16.onnx", rows)
    assert 0 < np.abs(stored - exact).max() < 1e-3 * np.abs(exact).max()
    assert operators(tmp_path / "fp16.onnx", tmp_path) == operators(tmp_path / "fp32.onnx", tmp_path)


def operators(path, folder):
    """What ONNX Runtime really runs."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / f"{path.stem}-optimised.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return sorted(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)


def test_small_weights_stay_exact(tmp_path):
    for precision in (FP32, FP16_STORED):
        write_onnx(spec(precision=precision), tmp_path / f"{precision.weights}.onnx")
    assert (tmp_path / "fp16.onnx").read_bytes() == (tmp_path / "fp32.onnx").read_bytes()


def test_a_weight_beyond_half_precision_is_refused(tmp_path):
    large = Rows(width=20_000)
    with torch.no_grad():
        large.layers[0].weight[7, 1] = 1e5
    with pytest.raises(ExportError, match=r"weight \S+ of rows does not fit FP16; received 100000"):
        write_onnx(spec(large, precision=FP16_STORED), tmp_path / "rows.onnx")


def test_weights_too_large_for_one_file_go_beside_it(tmp_path):
    write_onnx(spec(Rows(width=2000)), tmp_path / "one.onnx")
    write_onnx(spec(Rows(width=2000)), tmp_path / "two.onnx", largest_file=10_000)
    assert {path.name for path in tmp_path.iterdir()} == {"one.onnx", "two.onnx", "two.onnx.data"}
    rows = np.ones((1, 2, 3), np.float32)
    np.testing.assert_array_equal(run(tmp_path / "one.onnx", rows), run(tmp_path / "two.onnx", rows))


def test_whole_numbers_and_several_outputs(tmp_path):
    class Lookup(torch.nn.Module):
        def forward(self, ids, table):
            return table[ids], ids.float()

    inputs = (Input("ids", ("n",), lambda rng, shape: rng.integers(6, size=shape)), Input("table", (6, 2)))
    write_onnx(ComponentSpec("lookup", Lookup(), inputs, ("found", "ids_out"), {"n": (4,)}), tmp_path / "lookup.onnx")
    table = np.arange(12, dtype=np.float32).reshape(6, 2)
    with open_engine(tmp_path / "lookup.onnx") as engine:
        outputs = engine.run({"ids": np.array([5, 0]), "table": table})
    np.testing.assert_array_equal(outputs["found"], table[[5, 0]])
    np.testing.assert_array_equal(outputs["ids_out"], [5, 0])
