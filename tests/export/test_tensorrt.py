"""TensorRT takes every component that we export: an operator that it refuses fails here, on a machine without a GPU."""

import pytest

from meshwright.export.spec import FP16
from meshwright.runtime import Pack
from meshwright.runtime.backends.pack_engines import ranges_of
from meshwright.runtime.cli import main as cli
from tests.engines.platforms import TENSORRT_RTX

pytestmark = [TENSORRT_RTX, pytest.mark.slow(40)]


def build(pack, tmp_path, monkeypatch, capsys):
    """Build everything; the names of what was built."""
    monkeypatch.setenv("MESHWRIGHT_CACHE", str(tmp_path / "cache"))
    code = cli.main(["build", str(pack), "--backend", "tensorrt-rtx"])
    said = capsys.readouterr()
    assert code == 0, said.err
    return sorted(path.name.rsplit("-", 1)[0].partition("-")[2] for path in (tmp_path / "cache/engines").glob("*.engine"))


def test_every_component_of_a_half_precision_pack(exported_tiny, tmp_path, monkeypatch, capsys):
    """Every kind of component, calculated in FP16 where that is safe."""
    half = exported_tiny(FP16)
    components = Pack.open(half).manifest.components
    assert {c.compute for c in components.values()} == {"fp16", "fp32"} and len(components) == 11
    assert build(half, tmp_path, monkeypatch, capsys) == sorted(components)


def test_every_component_of_dmv3d(once, tmp_path, monkeypatch, capsys):
    """A reconstructor and its renderings in one graph, calculated in FP16 but for the renderings."""
    from meshwright.export import tiny

    pack = once("tiny-dmv3d-fp16", lambda path: tiny.build(path, precision=FP16, recipe="dmv3d"))
    components = Pack.open(pack).manifest.components
    assert components["dmv3d_step"].compute == "fp16" and len(components) == 4
    assert build(pack, tmp_path, monkeypatch, capsys) == sorted(components)


def test_every_component_of_the_bundled_pack(tmp_path, monkeypatch, capsys):
    components = Pack.open("props").manifest.components
    assert build("props", tmp_path, monkeypatch, capsys) == sorted(components)
    assert all(ranges_of(c.spec) for c in components.values() if c.kind.startswith("field"))
