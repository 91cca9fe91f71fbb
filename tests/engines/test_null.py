"""The null engine: shapes without a model."""

import numpy as np
import pytest

from meshwright.engines import EngineSpec, NullEngine, TensorSpec, open_engine
from meshwright.engines.errors import BackendUnavailable, ModelFileError, TensorError
from tests.engines import models

SPEC = EngineSpec((TensorSpec("x", "float32", (1, "points", 3)),),
                  (TensorSpec("sdf", "float32", (1, "points", 1)), TensorSpec("ids", "int64", ("count",))))


def test_outputs_have_the_right_shapes_and_dtypes():
    outputs = NullEngine(SPEC).run({"x": np.ones((1, 5, 3), np.float32)})
    assert outputs["sdf"].shape == (1, 5, 1) and outputs["sdf"].dtype == np.float32 and not outputs["sdf"].any()
    assert outputs["ids"].shape == (1,) and outputs["ids"].dtype == np.int64


def test_fill_and_axes():
    engine = NullEngine(SPEC, fill={"ids": 4}, axes={"count": 2, "points": 9})
    outputs = engine.run({"x": np.ones((1, 5, 3), np.float32)})
    assert outputs["sdf"].shape == (1, 5, 1) and not outputs["sdf"].any() and outputs["ids"].tolist() == [4, 4]
    assert NullEngine(SPEC, fill=0.5).run({"x": np.ones((1, 1, 3), np.float32)})["sdf"].tolist() == [[[0.5]]]


def test_inputs_are_checked():
    with pytest.raises(TensorError, match=r"tensor 'x'; received float32 \(1, 5\); expected float32 \(1, points, 3\)"):
        NullEngine(SPEC).run({"x": np.ones((1, 5), np.float32)})


def test_a_file_gives_its_spec(tmp_path):
    path = models.loop(tmp_path / "loop.onnx")
    with open_engine(path, backend="null") as engine, open_engine(path) as real:
        assert engine.spec == real.spec
        carry = {"x": np.ones(4, np.float32), "count": np.array(3)}
        per_step = {"gain": np.ones(2, np.float32), "z": np.ones((2, 4), np.float32)}
        steps = []
        result = engine.scan(carry, per_step, {"bias": np.ones(4, np.float32)}, on_step=lambda *s: steps.append(s))
    assert result["x"].tolist() == [0] * 4 and result["count"] == 0 and steps == [(1, 2), (2, 2)]


def test_a_missing_file_and_an_unknown_backend(tmp_path):
    with pytest.raises(ModelFileError, match="missing"):
        open_engine(tmp_path / "absent.onnx", backend="null")
    with pytest.raises(BackendUnavailable, match="'tpu'; expected onnxruntime, tensorrt, tensorrt-rtx, null"):
        open_engine(tmp_path / "absent.onnx", backend="tpu")
