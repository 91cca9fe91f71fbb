"""Tensors into modules: exactly those, in place, under today's names."""

import pytest
import torch
from torch import nn

from meshwright.engines.errors import CheckpointError
from meshwright.export.published.checkpoint import check_strict, load_strict


class Net(nn.Module):
    """Parameters, a buffer that is saved and two that are calculated."""

    def __init__(self, width=4):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(3, width) for _ in range(2))
        self.norm = nn.LayerNorm(width)
        self.scale = nn.Parameter(torch.zeros(width))
        self.register_buffer("steps", torch.arange(3))
        self.register_buffer("ids", torch.arange(5).expand(1, -1), persistent=False)
        self.register_buffer("waves", torch.sin(torch.linspace(0, 1, 4)), persistent=False)


@pytest.fixture
def tensors():
    torch.manual_seed(0)
    return {name: torch.randn(t.shape) if t.is_floating_point() else t + 7 for name, t in Net().state_dict().items()}


def test_fp32_tensors_are_used_in_place(tensors):
    module = load_strict(Net, tensors, "it")
    assert {name: t.data_ptr() for name, t in module.state_dict().items()} == {name: t.data_ptr() for name, t in tensors.items()}
    assert not module.training and not any(p.requires_grad for p in module.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_dtypes_become_fp32_and_whole_numbers_stay(tensors, dtype):
    stored = {name: t.to(dtype) if t.is_floating_point() else t for name, t in tensors.items()}
    module = load_strict(Net, stored, "it")
    for name, tensor in module.state_dict().items():
        assert tensor.dtype == (torch.int64 if name == "steps" else torch.float32)
        assert torch.equal(tensor, stored[name].to(tensor.dtype))


def test_buffers_that_no_file_holds_are_calculated(tensors):
    module = load_strict(Net, tensors, "it")
    assert torch.equal(module.ids, torch.arange(5)[None]) and torch.equal(module.waves, Net().waves)


def test_nothing_is_drawn_on_the_way(tensors):
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    load_strict(Net, tensors, "it")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_parameters_need_no_memory_before_they_are_filled():
    class Huge(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(1_000_000, 1_000_000)  # four terabytes

    with pytest.raises(CheckpointError, match="received 2 missing: layer.weight, layer.bias"):
        check_strict(Huge, {}, "it")


def test_all_that_is_wrong_is_listed(tensors):
    del tensors["norm.weight"]
    tensors |= {"extra": torch.ones(1), "layers.0.weight": torch.ones(5, 3)}
    for use in (check_strict, load_strict):
        with pytest.raises(CheckpointError) as caught:
            use(Net, tensors, "the net in x/")
        assert str(caught.value) == (
            "the net in x/ does not have the tensors of Net; received 1 missing: norm.weight; 1 extra: extra; 1 of another shape: "
            "layers.0.weight (5, 3) and not (4, 3); expected 8 tensors; give the checkpoint that belongs to this option, as published")


def test_only_the_first_twenty_are_listed(tensors):
    with pytest.raises(CheckpointError, match=r"30 extra: x0, .*, x19 and 10 more"):
        check_strict(Net, tensors | {f"x{i}": torch.ones(1) for i in range(30)}, "it")


def test_a_configuration_from_which_nothing_can_be_built():
    with pytest.raises(CheckpointError, match="the net in x/ has a configuration .* TypeError.* give its config.json as it was published"):
        load_strict(lambda: Net(width="wide"), {}, "the net in x/")


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attentions = nn.ModuleList([nn.ModuleDict({
            "to_q": nn.Linear(4, 4), "to_k": nn.Linear(4, 4), "to_v": nn.Linear(4, 4), "to_out": nn.ModuleList([nn.Linear(4, 4)])})])


@pytest.mark.parametrize("convolutions", [False, True])
def test_the_attention_names_of_old_autoencoders(convolutions):
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.mid_block = Attention()

    old = {}
    for name in ("query", "key", "value", "proj_attn"):
        weight = torch.randn(4, 4)
        old[f"mid_block.attentions.0.{name}.weight"] = weight[..., None, None] if convolutions else weight
        old[f"mid_block.attentions.0.{name}.bias"] = torch.randn(4)
    found = load_strict(Outer, old, "it").state_dict()
    for new, name in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
        assert torch.equal(found[f"mid_block.attentions.0.{new}.weight"].flatten(), old[f"mid_block.attentions.0.{name}.weight"].flatten())
        assert torch.equal(found[f"mid_block.attentions.0.{new}.bias"], old[f"mid_block.attentions.0.{name}.bias"])


def test_the_outer_level_and_the_position_ids_of_old_clip_files(tensors):
    old = {f"text_model.{name}": t for name, t in tensors.items()} | {"text_model.embeddings.position_ids": torch.arange(5)[None]}
    assert torch.equal(load_strict(Net, old, "it").scale, tensors["scale"])
