"""A pack with some of its components made anew: the others stay to the byte."""

import json

import numpy as np

from meshwright.export.props import renew


def folder_of(path, files, golden):
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text)
    np.savez(path / "golden.npz", **golden)
    (path / "pack.json").write_text("{}")
    return path


def test_new_files_take_the_place_of_the_old_ones_and_golden_inputs_follow(tmp_path):
    old = folder_of(tmp_path / "old", {"prior_step.onnx": "old", "refiner_step.onnx": "kept"},
                    {"prior_step/in/x": np.zeros(2), "prior_step/blank/in/x": np.zeros(2), "refiner_step/in/x": np.ones(3)})
    part = folder_of(tmp_path / "part", {"prior_step.onnx": "new"}, {"prior_step/in/x": np.full(2, 5.0)})
    renew._join(old, part, {"name": "props", "components": {"prior_step": {}}}, tmp_path / "out")
    made = tmp_path / "out"
    assert {path.name: path.read_text() for path in made.glob("*.onnx")} == {"prior_step.onnx": "new", "refiner_step.onnx": "kept"}
    golden = np.load(made / "golden.npz")
    assert set(golden) == {"prior_step/in/x", "refiner_step/in/x"} and golden["prior_step/in/x"][0] == 5
    document = json.loads((made / "pack.json").read_text())
    assert document["name"] == "props" and set(document["files"]) == {"prior_step.onnx", "refiner_step.onnx", "golden.npz"}
