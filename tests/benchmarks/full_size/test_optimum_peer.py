"""optimum-onnx beside ours: the page, what both loops start from, and our side on a small network."""

import json
import sys

import numpy as np
import pytest

from benchmarks.full_size import published
from benchmarks.full_size.optimum_peer import __main__ as peer
from benchmarks.full_size.optimum_peer import side
from benchmarks.full_size.sizes import FULL, SMALL


def test_the_latent_picture_has_two_views_in_a_row():
    assert peer.latent_of(FULL.view) == (120, 80)


def test_the_page_has_medians_and_shares():
    loop = {"opening": 2.0, "first": 3.0, "loop": 8.0, "step": 2.0, "loop_processor": 8.0, "step_processor": 2.0, "peak_bytes": 1 << 30}
    export = {"seconds": 100.0, "processor": 90.0, "peak_bytes": 8 << 30, "bytes": 3.4e9}
    found = {"packages": {"onnxruntime": "1.32.0"}, "export": export, "loops": [loop, loop | {"step": 4.0}, loop | {"step": 3.0}]}
    ours = found | {"export": export | {"bytes": 1.7e9}, "loops": [loop | {"step": 1.5}]}
    document = {"size": "full", "view": 320, "threads": 2, "steps": 4, "rounds": 3, "machine": {"processor": "any", "cores": 2},
                "sides": {"optimum": found, "ours": ours}, "load": [0.5], "difference": 1e-6, "notes": ["A note."]}
    text = peer.page(json.loads(json.dumps(document)))
    assert "| files, MB | 3400.0 | 1700.0 | 0.50 |" in text and "| a step, s | 3.000 | 1.500 | 0.50 |" in text
    assert "optimum: onnxruntime 1.32.0." in text and "difference of the latents at the end: 1.0e-06" in text and "A note." in text
    for each in document["sides"].values():
        each |= {"export": None, "loops": []}
    assert "| a step, s | - | - | - |" in peer.page(document)


@pytest.mark.slow
def test_our_side_is_exported_and_runs(tmp_path):
    published.write(tmp_path, SMALL, ["Sharp-It"])
    sides = peer.Peer(sys.executable, tmp_path, tmp_path)
    exported = sides.export("ours", tmp_path / "Sharp-It", peer.latent_of(SMALL.view))
    peer.write_inputs(tmp_path / "inputs.npz", SMALL, peer.latent_of(SMALL.view))
    found = sides.loops("ours", 1, 2, tmp_path)
    assert exported["bytes"] > 10_000 and found["loop"] > 0 and np.isfinite(np.load(tmp_path / "ours.npy")).all()
    assert sides.packages("ours")["onnxruntime"] and side.GUIDANCE > 1
