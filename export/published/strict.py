"""Puts the tensors of a checkpoint into a module that has exactly those, without a second copy of either."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ...engines.errors import CheckpointError
from .checkpoint import listing

# What fills a tensor with nothing or with chance: only parameters are made so, and the checkpoint has them all.
_UNFILLED = {torch.empty, torch.rand, torch.randn}
# Levels of names that transformers 5 does without, and buffers that were once saved.
_OLD_PREFIXES = ("text_model.", "vision_model.")
_OLD_BUFFERS = re.compile(r"(?:.*\.)?embeddings\.position_ids\Z")
# diffusers' AttentionBlock, which autoencoders had before 0.17.
_OLD_ATTENTION = re.compile(r"(.*\.attentions\.\d+)\.(query|key|value|proj_attn)\.(weight|bias)\Z")
_NEW_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}

Build = Callable[[], nn.Module]


def load_strict(build: Build, tensors: Mapping[str, Tensor], subject: str) -> nn.Module:
    """The module that `build` makes, with those weights in FP32, in eval mode and without gradients.

    tensors : any floating dtype; those in FP32 are used as they are, mapped from their file if they were
    subject : what messages call the checkpoint, such as "the text encoder in DIR"
    Spellings of older diffusers and transformers are understood. Raises CheckpointError as `check_strict` does.
    """
    module, tensors = _matched(build, tensors, subject)
    module.load_state_dict({name: _fp32(tensor) for name, tensor in tensors.items()}, strict=True, assign=True)
    left = [name for name, tensor in [*module.named_parameters(), *module.named_buffers()] if tensor.is_meta]
    if left:
        raise CheckpointError(f"{subject} does not fill its module", received=listing(left, "left empty"))
    return module.eval().requires_grad_(False)


def check_strict(build: Build, tensors: Mapping[str, Tensor], subject: str) -> None:
    """Compare names and shapes only. Raises CheckpointError that lists what is missing, extra or of another shape."""
    _matched(build, tensors, subject)


def _matched(build: Build, tensors: Mapping[str, Tensor], subject: str) -> tuple[nn.Module, dict[str, Tensor]]:
    module = _skeleton(build, subject)
    expected = module.state_dict()
    tensors = _respelled(tensors, expected)
    missing = [name for name in expected if name not in tensors]
    extra = [name for name in tensors if name not in expected]
    shapes = [f"{name} {tuple(tensors[name].shape)} and not {tuple(tensor.shape)}" for name, tensor in expected.items()
              if name in tensors and tensors[name].shape != tensor.shape]
    problems = [(missing, "missing"), (extra, "extra"), (shapes, "of another shape")]
    found = "; ".join(listing(names, what) for names, what in problems if names)
    if found:
        raise CheckpointError(f"{subject} does not have the tensors of {type(module).__name__}", received=found,
                              expected=f"{len(expected)} tensors", remedy="give the checkpoint that belongs to this option, as published")
    return module, tensors


class _WithoutMemory(TorchFunctionMode):
    """Makes the parameters on the meta device, but calculates what is calculated, such as position ids.

    Under torch.device("meta") buffers that no checkpoint holds would be lost.
    """

    def __torch_function__(self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        options = dict(kwargs or {})
        if function in _UNFILLED and options.get("device") is None:
            options["device"] = "meta"
        return function(*args, **options)


def _skeleton(build: Build, subject: str) -> nn.Module:
    try:
        with _WithoutMemory(), torch.random.fork_rng(devices=[]):
            return build()
    # The user's configuration goes through the constructors of other packages, which may raise anything.
    except Exception as error:
        raise CheckpointError(f"{subject} has a configuration from which no module can be built",
                              received=f"{type(error).__name__}: {error}", remedy="give its config.json as it was published") from error


def _respelled(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the names that today's libraries use; a name that is as expected stays."""
    found = {}
    for name, tensor in tensors.items():
        if name not in expected:
            if _OLD_BUFFERS.match(name):
                continue
            name, tensor = _new_name(name, expected), _new_shape(name, tensor)
        found[name] = tensor
    return found


def _new_name(name: str, expected: Mapping[str, Tensor]) -> str:
    candidates = [name.removeprefix(prefix) for prefix in _OLD_PREFIXES]
    old = _OLD_ATTENTION.match(name)
    candidates += [f"{old[1]}.{_NEW_ATTENTION[old[2]]}.{old[3]}"] if old else []
    return next((candidate for candidate in candidates if candidate in expected), name)


def _new_shape(name: str, tensor: Tensor) -> Tensor:
    """Some of the old attention blocks were saved as 1x1 convolutions."""
    return tensor[..., 0, 0] if _OLD_ATTENTION.match(name) and tensor.shape[2:] == (1, 1) else tensor


def _fp32(tensor: Tensor) -> Tensor:
    return tensor.detach().to(torch.float32) if tensor.is_floating_point() else tensor.detach()
