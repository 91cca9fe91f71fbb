"""The two halves meet in a pack alone: what the exporter writes, the runtime verifies and turns into a mesh."""

import numpy as np
import pytest

from meshwright.export import tiny
from meshwright.runtime import Pipeline, verify_pack
from meshwright.runtime.geometry.topology import is_watertight

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    """An open pipeline on an exported pack of random weights."""
    with Pipeline.open(tiny.build(tmp_path_factory.mktemp("packs") / "tiny"), threads=1) as pipe:
        yield pipe


def test_golden_outputs_are_reproduced(pipe):
    checks = list(verify_pack(pipe.models))
    assert len(checks) == 11
    assert [check for check in checks if not check.passed] == []


def test_the_manifest_describes_the_files(pipe):
    for component in pipe.pack.manifest.components.values():
        assert component.spec == pipe.models.engine(component.kind).spec


def test_a_prompt_becomes_a_closed_mesh(pipe, tmp_path):
    made = pipe.generate("a red chair with white legs", seed=1, faces=400, texture=64)
    assert is_watertight(made.mesh) and 4 <= len(made.mesh.faces) <= 400
    radii = np.linalg.norm(made.mesh.vertices, axis=1)
    assert 0.4 < radii.min() and radii.max() < 0.8  # its field is a dented ball of radius 0.6
    assert made.save(tmp_path / "chair.glb")[0].stat().st_size > 10_000
