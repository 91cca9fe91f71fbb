"""The table of parity on what users give."""

import numpy as np
import pytest
from torch import nn

from benchmarks.full_size import parity
from meshwright.export.spec import ComponentSpec, Input
from tests.export.onnx.test_group_norm import pictures


def test_group_norms_as_they_come_are_measured_beside_those_of_the_exporter():
    x = pictures()["close"]
    module = nn.GroupNorm(4, x.shape[1], eps=1e-6).requires_grad_(False)
    found = parity.measure(ComponentSpec("norm", module, (Input("image", x.shape, cases={"close": lambda rng, shape: x}),), ("y",)))
    assert [case for case, _, _ in found] == ["noise", "close"]
    (_, noise, split_noise), (_, close, split_close) = found
    assert noise < 1e-4 and split_noise < 1e-5 and split_close < 5e-5
    assert not close < 1e-3  # infinite where the norm gives NaN


@pytest.mark.slow
def test_the_command_prints_a_table(capsys):
    parity.main(["--only", "field_color"])
    head, line, *rows = capsys.readouterr().out.splitlines()
    assert head == "| component | input | group norms as they come | as exported |" and set(line) == set("|-:")
    assert [row.split(" | ")[:2] for row in rows] == [["| field_color", "noise"], ["| field_color", "equal values"]]
    assert all(float(row.split(" | ")[3].rstrip(" |")) < 5e-5 for row in rows)


def test_every_component_can_be_named():
    assert set(parity.COMPONENTS) == {"vae_encoder", "vae_decoder", "reference_encoder", "image_encoder", "views_step", "reconstructor",
                                      "field_geometry", "field_weights", "field_color", "dmv3d_step"}
    with pytest.raises(SystemExit):
        parity.main(["--only", "no-such-component"])
    assert np.isfinite(parity.filled(nn.Linear(3, 2)).weight.numpy()).all()
