"""Engines in a pack's folder: used where they are trusted."""

import shutil
from dataclasses import replace

import pytest

from meshwright.engines.cache.cache import EngineCache
from meshwright.engines.cache.shipped import ship
from meshwright.engines.files.trust import EXPORTED, FOLDERS, trust
from meshwright.runtime.cli.build_command import build_missing
from meshwright.runtime.pack.pack import Pack
from tests.engines.platforms import TENSORRT_RTX
from tests.runtime import tiny_pack
from tests.runtime.simulated_gpu import CPU, SimulatedGpu, run


@pytest.fixture
def shipping(engines, tiny, tmp_path, monkeypatch):
    """A copy of the pack with its engines in it, on a machine whose cache is empty."""
    shutil.copytree(engines, tmp_path / "maker")
    pack = shutil.copytree(tiny, tmp_path / "tiny")
    entries = [entry for entry in EngineCache(tmp_path / "maker/engines").entries()]
    ship(pack, entries)
    monkeypatch.delenv(FOLDERS)
    return pack, SimulatedGpu(monkeypatch, tmp_path / "cache")


@TENSORRT_RTX
def test_engines_that_a_pack_ships_are_used_where_they_are_trusted(shipping, tmp_path):
    pack, gpu = shipping
    files = {path: path.read_bytes() for path in pack.rglob("*") if path.is_file()}
    made, used = run(pack, trust=True)
    assert set(used.values()) == {"tensorrt-rtx"} and made.notices == () and gpu.built == []
    assert {path: path.read_bytes() for path in pack.rglob("*") if path.is_file()} == files
    assert not list((tmp_path / "cache/engines").glob("*.engine"))
    assert len(list((tmp_path / "cache/engines/of_packs").glob("*.record"))) == len(tiny_pack.GRAPHS)
    trust(pack, Pack.open(pack).hash, EXPORTED)
    made, used = run(pack)  # the pack is trusted, by its hash; engines that somebody has added are not
    notices = made.notices
    assert set(used.values()) == {f"onnxruntime ({CPU})"}
    assert "the engines in the pack's folder are untrusted programs" in notices[0] and f"meshwright packs trust {pack}" in notices[0]


@TENSORRT_RTX
def test_a_build_leaves_engines_of_the_pack_alone_and_builds_those_that_do_not_load(shipping, monkeypatch):
    pack, gpu = shipping
    files = {path: path.read_bytes() for path in pack.rglob("*") if path.is_file()}
    trusted_by_caller = replace(Pack.open(pack), trusted_by_caller=True)
    with monkeypatch.context() as patch:
        patch.setattr("tests.engines.simulated_tensorrt.MAGIC", b"another plan")
        build_missing(trusted_by_caller, "auto", quiet=True)
    assert gpu.built == list(tiny_pack.GRAPHS)
    assert {path: path.read_bytes() for path in pack.rglob("*") if path.is_file()} == files


@TENSORRT_RTX
def test_trusting_a_pack_by_name_trusts_its_engines(shipping, main):
    pack, _ = shipping
    assert main("packs", "trust", pack).returncode == 0
    opened = Pack.open(pack)
    assert opened.engines_untrusted is None
    (pack / "engines/engines.json").write_text((pack / "engines/engines.json").read_text() + " ")
    assert Pack.open(pack).engines_untrusted is not None
    main("packs", "distrust", pack)


@TENSORRT_RTX
def test_an_engine_of_a_pack_that_was_altered_gives_way_to_one_of_the_cache(shipping, engines, tmp_path):
    pack, _ = shipping
    (engine,) = (pack / "engines").glob("tiny-vae_decoder-*.engine")
    engine.write_bytes(engine.read_bytes()[:-1] + b"?")
    made, used = run(pack, trust=True)
    notices = made.notices
    assert used["vae_decoder"] == f"onnxruntime ({CPU})" and used["refiner_step"] == "tensorrt-rtx"
    assert any("of the pack has been modified" in note for note in notices)
    shutil.copytree(engines / "engines", tmp_path / "cache/engines", dirs_exist_ok=True)
    made, used = run(pack, trust=True)
    assert made.notices == () and set(used.values()) == {"tensorrt-rtx"}
