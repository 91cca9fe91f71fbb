"""Sizes read off the shapes of a checkpoint's tensors."""

import pytest
import torch

from meshwright.engines.errors import ExportError
from meshwright.export.models.reconstructor import Reconstructor, ReconstructorConfig
from meshwright.export.models.reconstructor_config import reconstructor_config

SMALL = ReconstructorConfig(view_size=64, patch=8, position_grid=3, encoder_width=128, encoder_heads=2, encoder_depth=1, width=64,
                            heads=1, depth=2, tokens=4, upsample=2, channels=5, hidden=7)


def tensors(config, kind):
    with torch.device("meta"):
        return Reconstructor(config, kind).state_dict()


@pytest.mark.parametrize("kind", ["mesh", "nerf"])
@pytest.mark.parametrize("config", [
    ReconstructorConfig(depth=12, channels=40), ReconstructorConfig(depth=16, channels=80), SMALL], ids=["base", "large", "small"])
def test_the_configuration_comes_back_from_the_tensors(config, kind):
    assert reconstructor_config(tensors(config, kind), view_size=config.view_size) == (config, kind)


def test_the_view_size_is_the_published_one_unless_told():
    assert reconstructor_config(tensors(SMALL, "mesh"))[0].view_size == 320


def test_a_file_of_something_else_is_refused():
    with pytest.raises(ExportError, match="net_sdf.* instant_nerf"):
        reconstructor_config({"conv_in.weight": torch.zeros(320, 8, 3, 3)})


@pytest.mark.parametrize("replacement, received", [(None, "received none"), (torch.zeros(3), r"received shape \(3,\)")])
def test_a_tensor_that_is_missing_or_flat_is_named(replacement, received):
    found = tensors(SMALL, "nerf")
    del found["transformer.pos_embed"]
    if replacement is not None:
        found["transformer.pos_embed"] = replacement
    with pytest.raises(ExportError, match=rf"transformer\.pos_embed; {received}"):
        reconstructor_config(found)
