"""The parity check: fresh inputs, every open axis, and no mercy for values that are not finite."""

import numpy as np
import pytest
import torch

from meshwright.export.inputs import LATENTS, flat
from meshwright.export.onnx.onnx_file import write_onnx
from meshwright.export.pack import parity
from meshwright.export.spec import FP32, ComponentSpec, Input
from tests.export.small import Rows, spec


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "rows.onnx"
    write_onnx(spec(), path)
    return path


def rng():
    return np.random.default_rng(3)


def test_a_faithful_graph_passes(graph):
    error, problem = parity.check(spec(), graph, rng())
    assert problem is None and 0 <= error.rel < 1e-5 and error.abs < 1e-5


def test_a_difference_is_measured_and_named(graph):
    error, problem = parity.check(spec(reference=Rows(shift=0.5)), graph, rng())
    assert error.abs == pytest.approx(0.5, rel=1e-4)
    assert problem.startswith("rows (rows.onnx): relative error ") and "0.0001" in problem


def test_the_specs_own_tolerance_counts(graph):
    assert parity.check(spec(reference=Rows(shift=1e-3), tolerance=0.1), graph, rng())[1] is None


def test_all_lengths_of_an_open_axis_are_tried(graph):
    seen = []

    class Watched(Rows):
        def forward(self, rows):
            seen.append(rows.shape[1])
            return super().forward(rows)

    parity.check(spec(reference=Watched()), graph, rng())
    assert seen == [5, 1, 9]


def test_axes_with_fewer_lengths_repeat_their_last():
    axes = {"n": (4, 1), "m": (2, 1, 7)}
    component = ComponentSpec("pair", Rows(), (Input("a", ("n", "m")),), ("out",), axes)
    assert component.sizes() == [{"n": 4, "m": 2}, {"n": 1, "m": 1}, {"n": 1, "m": 7}]
    assert component.sample(rng(), {"n": 1, "m": 7})["a"].shape == (1, 7)


def test_values_that_are_not_finite_fail(graph):
    error, problem = parity.check(spec(reference=Rows(shift=float("nan"))), graph, rng())
    assert error.rel == np.inf and "inf" in problem


def test_a_graph_that_does_not_run_is_a_failure(tmp_path):
    (tmp_path / "rows.onnx").write_bytes(b"no model")
    error, problem = parity.check(spec(), tmp_path / "rows.onnx", rng())
    assert error is None and problem.startswith("rows (rows.onnx): ")


def test_outputs_of_another_shape_fail():
    error = parity.difference({"a": np.zeros(3, np.float32)}, {"a": np.zeros(4, np.float32)})
    assert error == parity.Error(np.inf, np.inf)


def test_the_worst_output_counts():
    truth = {"a": np.array([1.0, 10.0], np.float32), "b": np.array([0.1], np.float32)}
    off = {"a": np.array([1.0, 10.5], np.float32), "b": np.array([0.11], np.float32)}
    error = parity.difference(off, truth)
    assert error.abs == pytest.approx(0.5) and error.rel == pytest.approx(0.1, rel=1e-3)


def test_golden_tensors_compress_and_are_the_references(tmp_path):
    class Twice(torch.nn.Module):
        def forward(self, image):
            return image * 2

    component = ComponentSpec("twice", Twice(), (Input("image", (1, 3, 64, 64)),), ("out",), precision=FP32)
    tensors = parity.golden(component, rng())
    assert set(tensors) == {"twice/in/image", "twice/out/out"}
    image, out = tensors["twice/in/image"], tensors["twice/out/out"]
    assert image.dtype == out.dtype == np.float32 and image.shape == (1, 3, 64, 64)
    np.testing.assert_allclose(out, image * 2, atol=2 * parity.GOLDEN_STEP * np.abs(out).max())
    np.savez_compressed(tmp_path / "golden.npz", **tensors)
    assert (tmp_path / "golden.npz").stat().st_size < 0.2 * (image.nbytes + out.nbytes)


class Twice(torch.nn.Module):
    def forward(self, image):
        return image * 2


def pictured(shape=(1, 4, 32, 48), module=None, **options):
    """A component with one input that knows cases and one that does not."""
    class Add(torch.nn.Module):
        def forward(self, latent, noise):
            return latent * 2 + noise

    return ComponentSpec("add", module or Add(), (Input("latent", shape, cases=LATENTS), Input("noise", shape)), ("out",), **options)


def test_each_case_is_compared_and_named(tmp_path):
    write_onnx(pictured(), tmp_path / "add.onnx")
    drawn = parity.trials(pictured(), rng())
    assert [case for case, _, _ in drawn.cases] == ["noise", "cut-out on white", "white"]
    for case, inputs, expected in drawn.cases:
        assert (inputs["latent"] == inputs["latent"][..., :1, :1]).all() == (case == "white")
        assert inputs["noise"].std() == pytest.approx(1, abs=0.1)
        np.testing.assert_array_equal(expected["out"], inputs["latent"] * 2 + inputs["noise"])
    found = drawn.compare(tmp_path / "add.onnx")
    assert list(found.errors) == ["noise", "cut-out on white", "white"] and found.problem is None
    assert found.error.rel == max(error.rel for error in found.errors.values()) < 1e-6


def test_a_graph_that_is_right_on_noise_and_wrong_on_white_is_refused(tmp_path):
    """As a kernel that loses precision where all pixels are equal."""
    class Faulty(torch.nn.Module):
        def forward(self, image):
            pixels = image.flatten()
            return image * 2 + 0.1 * (pixels.amax(dim=0) == pixels.amin(dim=0))

    faulty = ComponentSpec("faulty", Faulty(), (Input("image", (1, 3, 8, 8), cases={"white": flat(1.0)}),), ("out",))
    write_onnx(faulty, tmp_path / "faulty.onnx")
    right = ComponentSpec("faulty", Twice(), faulty.inputs, ("out",))
    error, problem = parity.check(right, tmp_path / "faulty.onnx", rng())
    assert error.rel == pytest.approx(0.05) and problem == "faulty (faulty.onnx): relative error 0.05 on white; at most 0.0001"


def test_golden_cases_keep_samples_of_large_outputs(tmp_path):
    tensors = parity.golden(pictured(), rng())
    assert {name.rpartition("/")[0] for name in tensors} == {"add/in", "add/out", *(
        f"add/{case}/{part}" for case in ("cut-out on white", "white") for part in ("in", "out", "stride"))}
    for case in ("cut-out on white", "white"):
        latent, noise, out = (tensors[f"add/{case}/{name}"] for name in ("in/latent", "in/noise", "out/out"))
        assert tensors[f"add/{case}/stride/out"] == 3 and out.shape == (2048,)  # of 6144 values, at most 4096
        np.testing.assert_allclose(out, (latent * 2 + noise).ravel()[::3], atol=2 * parity.GOLDEN_STEP * np.abs(out).max())
    small = parity.golden(pictured((1, 4, 8, 8)), rng())
    assert small["add/white/stride/out"] == 1 and small["add/white/out/out"].shape == (256,)


def test_golden_cases_are_those_that_were_tried():
    """The reference is slow: one evaluation of a case serves both."""
    seen = []

    class Watched(torch.nn.Module):
        def forward(self, latent, noise):
            seen.append(latent)
            return latent * 2 + noise

    component = pictured(module=Watched())
    tried = parity.trials(component, rng())
    tensors = parity.golden(component, np.random.default_rng(9), tried)
    assert len(seen) == 3 + 1  # every case once, and the golden noise
    for case, inputs, _ in tried.cases[1:]:
        np.testing.assert_array_equal(tensors[f"add/{case}/in/latent"], inputs["latent"])


def test_lengths_of_an_open_axis_can_be_a_case(tmp_path):
    component = ComponentSpec("twice", Twice(), (Input("image", ("halves", 3, 8, 8)),), ("out",), {"halves": (2,)},
                              axes_of_cases={"one half": {"halves": 1}})
    write_onnx(component, tmp_path / "twice.onnx")
    drawn = parity.trials(component, rng())
    assert [(case, inputs["image"].shape[0]) for case, inputs, _ in drawn.cases] == [("noise", 2), ("one half", 1)]
    assert list(drawn.compare(tmp_path / "twice.onnx").errors) == ["noise", "one half"]
    tensors = parity.golden(component, rng(), drawn)
    assert tensors["twice/in/image"].shape == (2, 3, 8, 8) and tensors["twice/one half/in/image"].shape == (1, 3, 8, 8)
