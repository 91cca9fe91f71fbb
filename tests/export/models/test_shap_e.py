"""Facts of Shap-E's decoder that are easy to get wrong, as numbers."""

import numpy as np
import pytest
import torch

from meshwright.export.models.shap_e import ChannelsProj, ShapEDecoder, ShapEDecoderConfig, encode_position

SMALL = ShapEDecoderConfig(latent_width=3, hidden=2, frequencies=1, direction_width=1, layers=6, outputs=12)


def test_positions_come_with_all_sines_first_each_frequency_by_frequency():
    code = encode_position(torch.tensor([0.1, 0.2, -0.3]), 2)
    np.testing.assert_allclose(code, [
        0.1, 0.2, -0.3,
        0.0998334, 0.1986693, -0.2955202, 0.1986693, 0.3894183, -0.5646425,  # sin p, sin 2p
        0.9950042, 0.9800666, 0.9553365, 0.9800666, 0.9210610, 0.8253356], atol=1e-6)  # the same, a quarter turn on


def test_the_published_sizes():
    config = ShapEDecoderConfig()
    assert (config.position_width, config.rows) == (93, 1024)


@torch.no_grad()
def test_a_generated_row_is_normed_before_its_bias_is_added():
    proj = ChannelsProj(1, 2, 2)
    proj.proj.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    proj.proj.bias.copy_(torch.tensor([10.0, 20.0]))
    proj.norm.weight.fill_(3.0)
    # Rows (5, 1) have mean 3 and deviation 2: normed to (1, -1), times 3, plus the bias.
    np.testing.assert_allclose(proj(torch.tensor([[[5.0, 1.0]]])), [[[13.0, 17.0]]], atol=1e-5)


@torch.no_grad()
def test_each_row_of_the_latent_makes_one_row_of_one_layer():
    torch.manual_seed(0)
    decoder = ShapEDecoder(SMALL)
    latent = torch.randn(1, SMALL.rows, 3)
    before = decoder.project(latent)
    assert [tuple(weight.shape) for weight in before] == [(1, 2, 9), (1, 2, 2), (1, 2, 2), (1, 2, 2)]
    latent[0, 5] += 1  # of rows 0-1, 2-3, 4-5 and 6-7: the second row of the third layer
    changed = [(now != then).any(dim=-1)[0].tolist() for now, then in zip(decoder.project(latent), before, strict=True)]
    assert changed == [[False, False], [False, False], [False, True], [False, False]]


@torch.no_grad()
@pytest.mark.parametrize("output, sdf, color", [
    (0, 0.4621172, [0.5, 0.5, 0.5]), (3, 0.0, [0.6224593, 0.5, 0.5]), (5, 0.0, [0.5, 0.5, 0.6224593]),
    (1, 0.0, [0.5, 0.5, 0.5]), (6, 0.0, [0.5, 0.5, 0.5]), (11, 0.0, [0.5, 0.5, 0.5])])
def test_outputs_are_the_distance_densities_and_three_colours_of_which_the_first_counts(output, sdf, color):
    decoder = ShapEDecoder(SMALL)
    for parameter in decoder.mlp.parameters():
        parameter.zero_()
    decoder.mlp.mlp[-1].bias[output] = 0.5
    found = decoder.field(decoder.project(torch.zeros(1, SMALL.rows, 3)), torch.zeros(1, 1, 3))
    np.testing.assert_allclose(found[0], [[[sdf]]], atol=1e-6)
    np.testing.assert_allclose(found[1], [[color]], atol=1e-6)


@torch.no_grad()
def test_no_direction_is_a_code_of_zeros_behind_the_features_of_layer_4():
    torch.manual_seed(0)
    decoder = ShapEDecoder(SMALL)
    weights, points = decoder.project(torch.randn(1, SMALL.rows, 3)), torch.rand(1, 4, 3)
    before = decoder.field(weights, points)[0]
    decoder.mlp.mlp[4].weight[:, -1] += 100
    assert decoder.mlp.mlp[4].weight.shape == (2, 3) and torch.equal(decoder.field(weights, points)[0], before)
