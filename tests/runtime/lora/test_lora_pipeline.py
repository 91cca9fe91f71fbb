"""LoRAs on an open pipeline and on the command line: what changes, what the result says, and that nothing stays behind."""

import hashlib
import json

import numpy as np
import pytest
import trimesh

from meshwright.runtime import InputError, Pipeline
from tests.runtime.lora import mixing_pack

FAST = {"texture": 64, "faces": 500}


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    return mixing_pack.build(tmp_path_factory.mktemp("packs") / "mixing")


@pytest.fixture
def lora(tmp_path):
    return mixing_pack.swap(tmp_path / "swap.safetensors")


def views(pipe):
    return pipe.generate("a red chair", seed=3, **FAST).stages.views


def test_the_views_change_and_change_back(pack, lora):
    with Pipeline.open(pack, threads=1) as pipe:
        before = pipe.generate("a red chair", seed=3, **FAST)
        pipe.load_lora(lora, 0.5)
        made = pipe.generate("a red chair", seed=3, **FAST)
        pipe.unload_lora()
        after = pipe.generate("a red chair", seed=3, **FAST)
    changed = np.abs(made.stages.views - before.stages.views)
    assert changed[..., 1].max() > 0.05 and changed[..., [0, 2]].max() < 1e-6  # green follows red, and nothing else moves
    np.testing.assert_array_equal(after.stages.views, before.stages.views)
    assert after.mesh.texture.tobytes() == before.mesh.texture.tobytes() and after.provenance == before.provenance
    assert "lora" not in after.provenance
    assert made.provenance["lora"] == [{"file": "swap.safetensors", "sha256": hashlib.sha256(lora.read_bytes()).hexdigest(),
                                        "scale": 0.5, "component": "refiner_step"}]


def test_unloading_without_any_does_nothing(pack):
    with Pipeline.open(pack, threads=1) as pipe:
        pipe.unload_lora()
        assert pipe.models._engines == {}


@pytest.mark.parametrize("options, message", [
    ({"scale": float("nan")}, "scale is out of range; received nan"), ({"scale": True}, "scale is out of range"),
    ({"scale": 101}, "received 101; expected a number, -100 to 100"),
    ({"component": "vae_decoder"}, "no such UNet .*received 'vae_decoder'"),
    ({"component": "views_step"}, "has no such UNet for a LoRA; received 'views_step'; expected refiner_step")])
def test_wrong_options_are_refused(pack, lora, options, message):
    with Pipeline.open(pack, threads=1) as pipe, pytest.raises(InputError, match=message):
        pipe.load_lora(lora, **options)


def test_a_lora_that_does_not_fit_leaves_those_that_are_on(pack, lora, tmp_path):
    other = mixing_pack.swap(tmp_path / "other.safetensors", layer="mid_block.resnets.0.conv1")
    with Pipeline.open(pack, threads=1) as pipe:
        pipe.load_lora(lora)
        on = views(pipe)
        with pytest.raises(InputError, match=r"refiner_step does not have; received mid_block\.resnets\.0\.conv1; expected mix"):
            pipe.load_lora(other)
        np.testing.assert_array_equal(views(pipe), on)


def test_not_while_a_run_is_under_way(pack, lora):
    with Pipeline.open(pack, threads=1) as pipe:
        run = pipe.stream("a red chair", **FAST)
        next(run)
        for change in (lambda: pipe.load_lora(lora), pipe.unload_lora):
            with pytest.raises(InputError, match="busy with another run"):
                change()
        run.close()
        pipe.load_lora(lora)


def test_the_command_line(cli, pack, lora, tmp_path):
    run = cli("generate", "a red chair", "--pack", pack, "--lora", lora, "--lora-scale", 0.5, "-o", tmp_path / "made.glb",
              "--texture", 64, "--faces", 500, "--json")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["lora"][0]["scale"] == 0.5
    glb = (tmp_path / "made.glb").read_bytes()
    extras = json.loads(glb[20:20 + int.from_bytes(glb[12:16], "little")])["asset"]["extras"]
    assert extras["lora"] == json.loads(run.stdout)["lora"]
    assert len(trimesh.load(tmp_path / "made.glb", force="mesh").faces) > 100


@pytest.mark.parametrize("options, message", [
    (["--lora-scale", 2], "lora-scale is given without a LoRA"),
    (["--lora", "gone.safetensors"], "the LoRA gone.safetensors cannot be read"),
    (["--lora", "broken.safetensors"], "the LoRA broken.safetensors is not a safetensors file, or is damaged")])
def test_bad_options_on_the_command_line(cli, pack, tmp_path, options, message):
    (tmp_path / "broken.safetensors").write_bytes(b"no tensors")
    run = cli("generate", "a red chair", "--pack", pack, "-o", tmp_path / "made.glb", *options, cwd=tmp_path)
    assert run.returncode == 2 and message in run.stderr and "Traceback" not in run.stderr
    assert not (tmp_path / "made.glb").exists()
