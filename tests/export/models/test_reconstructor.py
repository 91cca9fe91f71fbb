"""Facts about InstantMesh's encoder and triplane transformer that are easy to get wrong."""

import torch
from torch import nn

from meshwright.export.models.triplane import CrossAttention, SelfAttention, TriplaneTransformer
from meshwright.export.models.vit import Embeddings, Layer, ViewEncoder

# A ramp 0..13 resized from 14 to 20 patches as DINO does; a resize to the size 20 would begin with -0.0813, 0.4541, 1.2969.
RAMP = [-0.0819, 0.4490, 1.2887, 1.9123, 2.6032, 3.3683, 4.0399, 4.6791, 5.4398, 6.1565,
        6.7659, 7.5075, 8.2546, 8.8677, 9.5756, 10.3385, 10.9889, 11.6486, 12.4812, 13.0519]


@torch.no_grad()
def test_the_position_table_is_sampled_by_20_1_over_14():
    embeddings = Embeddings(width=2, patch=16, position_grid=14)
    number = torch.arange(196)
    embeddings.position_embeddings[0, 0] = 7
    embeddings.position_embeddings[0, 1:] = torch.stack([number % 14, number // 14], -1).float()
    table = embeddings.positions(20)
    assert table.shape == (1, 401, 2)
    torch.testing.assert_close(table[0, 0], torch.tensor([7.0, 7.0]))
    ramp = torch.tensor(RAMP).expand(20, 20)
    torch.testing.assert_close(table[0, 1:].unflatten(0, (20, 20)), torch.stack([ramp, ramp.mT], -1), atol=2e-4, rtol=0)


@torch.no_grad()
def test_a_table_of_the_right_size_is_not_resampled():
    embeddings = Embeddings(width=2, patch=16, position_grid=14)
    assert embeddings.positions(14) is embeddings.position_embeddings


@torch.no_grad()
def test_the_camera_gives_shift_then_scale_first_of_attention_then_of_the_mlp():
    layer = Layer(width=2, heads=1)
    for parameter in layer.parameters():
        parameter.zero_()
    for norm in (layer.layernorm_before, layer.layernorm_after):
        norm.weight.fill_(1)
    layer.attention.attention.value.weight.copy_(torch.eye(2))
    layer.attention.output.dense.weight.copy_(torch.eye(2))
    layer.intermediate.dense.weight[:2], layer.output.dense.weight[:, :2] = torch.eye(2), torch.eye(2)
    # A scale of -1 leaves the shift alone.
    layer.adaLN_modulation[1].bias.copy_(torch.tensor([3.0, 4.0, -1.0, -1.0, 50.0, 60.0, -1.0, -1.0]))
    torch.testing.assert_close(layer(torch.rand(1, 1, 2) * 0, torch.zeros(1, 2)), torch.tensor([[[53.0, 64.0]]]))


@torch.no_grad()
def test_views_are_normalised_by_a_half_and_come_one_after_the_other():
    encoder = ViewEncoder(width=4, heads=1, depth=0, patch=2, position_grid=1)
    for parameter in encoder.model.embeddings.parameters():
        parameter.zero_()
    encoder.model.embeddings.patch_embeddings.projection.weight[0] = 1 / 12
    views = torch.stack([torch.full((3, 2, 2), 1.0), torch.full((3, 2, 2), 0.5), torch.zeros(3, 2, 2)])
    seen = []
    encoder.model.layernorm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    tokens = encoder(views[None], torch.zeros(1, 3, 16))
    assert tokens.shape == (1, 6, 4)
    torch.testing.assert_close(seen[0][:, 1, 0], torch.tensor([1.0, 0.0, -1.0]))


@torch.no_grad()
def test_tokens_are_plane_then_row_then_column():
    transformer = TriplaneTransformer(width=2, context=3, heads=1, depth=0, tokens=4, channels=1, upsample=2)
    transformer.pos_embed[:] = torch.tensor([-5.0, 5.0])
    transformer.pos_embed[0, 2 * 16 + 1 * 4 + 3] = torch.tensor([5.0, -5.0])
    transformer.deconv.weight.zero_()
    transformer.deconv.weight[0] = 1
    transformer.deconv.bias.zero_()
    expected = -torch.ones(1, 3, 1, 8, 8)
    expected[0, 2, 0, 2:4, 6:8] = 1
    torch.testing.assert_close(transformer(torch.zeros(1, 5, 3)), expected)


# Our (published) names beside those of transformers.
RENAMED = {"attention.attention.query": "attention.q_proj", "attention.attention.key": "attention.k_proj",
           "attention.attention.value": "attention.v_proj", "attention.output.dense": "attention.o_proj",
           "intermediate.dense": "mlp.fc1", "output.dense": "mlp.fc2", "layernorm_before": "layernorm_before",
           "layernorm_after": "layernorm_after"}


@torch.no_grad()
def test_without_modulation_the_encoder_is_a_vit():
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    config = ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=12, patch_size=4)
    vit, ours = ViTModel(config, add_pooling_layer=False).eval(), ViewEncoder(width=8, heads=2, depth=1, patch=4, position_grid=3)
    for parameter in vit.parameters():
        parameter.copy_(torch.randn_like(parameter) * 0.3)
    ours.model.embeddings.load_state_dict(vit.embeddings.state_dict())
    ours.model.layernorm.load_state_dict(vit.layernorm.state_dict())
    layer = ours.model.encoder.layer[0]
    for mine, theirs in RENAMED.items():
        layer.get_submodule(mine).load_state_dict(vit.layers[0].get_submodule(theirs).state_dict())
    for parameter in layer.adaLN_modulation.parameters():
        parameter.zero_()
    views = torch.rand(1, 2, 3, 12, 12)
    expected = vit((views[0] - 0.5) / 0.5).last_hidden_state
    torch.testing.assert_close(ours(views, torch.rand(1, 2, 16)), expected.reshape(1, 20, 8), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_attention_is_that_of_torch_without_biases():
    torch.manual_seed(0)
    x, context = torch.randn(1, 5, 8), torch.randn(1, 7, 6)
    ours, theirs = CrossAttention(8, 6, 2), nn.MultiheadAttention(8, 2, bias=False, kdim=6, vdim=6, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(x, context), theirs(x, context, context)[0])
    ours, theirs = SelfAttention(8, 2), nn.MultiheadAttention(8, 2, bias=False, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0])
