"""Golden replay: passes on the pack as it is, and notices an output that is off."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from meshwright.engines import open_engine
from meshwright.runtime import Pipeline, verify_pack
from tests.runtime.tiny_pack import GRAPHS


@pytest.fixture
def spoil(tiny, tmp_path):
    """Opens a copy of the pack with changed golden arrays, hashes made to fit."""

    def spoiled(change):
        folder = shutil.copytree(tiny, tmp_path / "spoiled")
        with np.load(folder / "golden.npz") as archive:
            arrays = dict(archive)
        change(arrays)
        np.savez(folder / "golden.npz", **arrays)
        data = (folder / "golden.npz").read_bytes()
        document = json.loads((folder / "pack.json").read_text())
        document["files"]["golden.npz"] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        (folder / "pack.json").write_text(json.dumps(document))
        return {check.component: check for check in verify_pack(Pipeline.open(folder, threads=1).models)}

    return spoiled


def test_every_component_passes(pipe):
    checks = list(verify_pack(pipe.models))
    assert [check.component for check in checks] == list(GRAPHS)
    assert all(check.passed and check.relative < 1e-6 for check in checks)


def test_an_output_that_is_off_fails_alone(spoil):
    def change(arrays):
        arrays["vae_encoder/out/latent"] = arrays["vae_encoder/out/latent"] * np.float32(1.01)

    checks = spoil(change)
    assert not checks["vae_encoder"].passed
    assert checks["vae_encoder"].relative == pytest.approx(0.01 / 1.01, rel=0.05)
    assert all(check.passed for name, check in checks.items() if name != "vae_encoder")


@pytest.mark.parametrize("name", ["vae_encoder/out/latent", "vae_encoder/in/image"])
def test_missing_arrays_fail(spoil, name):
    check = spoil(lambda arrays: arrays.pop(name))["vae_encoder"]
    assert not check.passed and check.problem


@pytest.mark.parametrize(("name", "value", "problem"), [
    ("vae_encoder/out/another", np.zeros(3, np.float32), "golden.npz has an output that the model lacks: another"),
    ("vae_encoder/out/latent", None,
     "golden.npz cannot be read; received vae_encoder/out/latent holds <U4 of rank 4, where numbers are read"),
])
def test_foreign_outputs_fail(spoil, name, value, problem):
    """One that no network has, and text of the right shape."""
    def change(arrays):
        arrays[name] = np.full(arrays["vae_encoder/out/latent"].shape, "text") if value is None else value

    checks = spoil(change)
    assert not checks["vae_encoder"].passed and checks["vae_encoder"].problem == problem and checks["vae_decoder"].passed


def add_case(arrays, pack, stride):
    """What the first component makes of a white picture, every stride-th value of it, as the exporter keeps it."""
    image = np.ones_like(arrays["vae_encoder/in/image"])
    with open_engine(pack / "vae_encoder.onnx", threads=1) as engine:
        latent = engine.run({"image": image})["latent"]
    arrays |= {"vae_encoder/white/in/image": image, "vae_encoder/white/out/latent": latent.ravel()[::stride],
               "vae_encoder/white/stride/latent": np.array(stride)}


@pytest.mark.parametrize("stride", [1, 7])
@pytest.mark.parametrize("factor", [1.0, 1.01])
def test_what_users_give_is_replayed_too(tiny, spoil, stride, factor):
    """Noise alone would pass, whatever the white picture gives."""
    def change(arrays):
        add_case(arrays, tiny, stride)
        arrays["vae_encoder/white/out/latent"] *= np.float32(factor)

    checks = spoil(change)
    assert checks["vae_encoder"].passed == (factor == 1)
    assert checks["vae_encoder"].relative == pytest.approx((factor - 1) / factor, rel=0.05, abs=1e-6)
    assert all(check.passed for name, check in checks.items() if name != "vae_encoder")


def test_a_case_without_outputs_fails(tiny, spoil):
    def change(arrays):
        add_case(arrays, tiny, 1)
        del arrays["vae_encoder/white/out/latent"]

    check = spoil(change)["vae_encoder"]
    assert not check.passed and check.problem == "golden.npz has no outputs for white"


@pytest.mark.parametrize(("stride", "said"), [
    (np.array(0), "has no stride for an output"), (np.array([1, 2]), "has no stride for an output"),
    (np.array("two"), "where numbers are read")])
def test_a_stride_that_is_none_is_a_problem(tiny, spoil, stride, said):
    def change(arrays):
        add_case(arrays, tiny, 1)
        arrays["vae_encoder/white/stride/latent"] = stride

    check = spoil(change)["vae_encoder"]
    assert not check.passed and said in check.problem


def test_nan_fails(spoil):
    def change(arrays):
        arrays["vae_encoder/in/image"][:] = np.nan

    assert not spoil(change)["vae_encoder"].passed
