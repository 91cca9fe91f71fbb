"""The error tree: its shape is public, its messages are one line."""

import copy
import pickle

import pytest

from meshwright.engines import errors

TREE = {
    "MeshwrightError": "Exception",
    "EngineError": "MeshwrightError", "TensorError": "EngineError", "ModelFileError": "EngineError",
    "BackendError": "EngineError", "DeviceLost": "BackendError", "BackendUnavailable": "EngineError",
    "PackError": "MeshwrightError", "PackNotFound": "PackError", "PackCorrupt": "PackError", "PackFormat": "PackError",
    "PackUntrusted": "PackError",
    "EmptyShape": "MeshwrightError", "InputError": "MeshwrightError", "OutputError": "MeshwrightError",
    "ExportError": "MeshwrightError", "CheckpointError": "ExportError", "Cancelled": "MeshwrightError",
}


def test_the_public_names():
    found = {name: kind.__base__.__name__ for name, kind in vars(errors).items()
             if isinstance(kind, type) and issubclass(kind, Exception)}
    assert found == TREE
    assert all(name in errors.__doc__ for name in TREE)


def test_a_message_is_one_line_with_its_parts():
    error = errors.InputError("steps is\nout of range", received="0", expected="1 to\n\n 1000", remedy="try 16")
    assert str(error) == "steps is out of range; received 0; expected 1 to 1000; try 16"
    assert (error.received, error.remedy) == ("0", "try 16")
    assert str(errors.Cancelled("stopped")) == "stopped"


@pytest.mark.parametrize("remake", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_errors_survive_a_process_boundary(remake):
    error = errors.PackCorrupt("a.onnx was altered", received="x", expected="y")
    again = remake(error)
    assert type(again) is errors.PackCorrupt and str(again) == str(error) and again.expected == "y"
