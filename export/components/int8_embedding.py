"""A token table in eight bits: it is most of a small text encoder's file, and one row of it is read for each token."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Int8Embedding(nn.Module):
    """Rows of int8 with one scale each: a quarter of FP32, off by at most 1/254 of the row's largest entry."""

    def __init__(self, table: Tensor) -> None:
        """table : (vocabulary, width) float"""
        super().__init__()
        scale = table.detach().abs().amax(dim=1, keepdim=True).clamp(min=1e-8) / 127
        self.register_buffer("scale", scale)
        self.register_buffer("rows", (table.detach() / scale).round().to(torch.int8))

    def forward(self, ids: Tensor) -> Tensor:
        """ids (...,) int64 -> (..., width) float32."""
        return self.rows[ids].float() * self.scale[ids]


def with_int8_embedding(model: nn.Module) -> nn.Module:
    """A copy of a transformers model whose input embedding is an `Int8Embedding`; `model` stays as it is."""
    smaller = copy.deepcopy(model)
    smaller.set_input_embeddings(Int8Embedding(model.get_input_embeddings().weight))
    return smaller
