"""Text encoders: prompts, already as token ids, to states for cross-attention or for the prior."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..spec import FP16_STORED, ComponentSpec, Input, Precision
from .parts import in_half


class TokenStates(nn.Module):
    """Last hidden states of a BertModel or CLIPTextModel (after its final norm).

    zero_padding : states of masked tokens become zero, and the encoder does not see those tokens. False
        leaves the mask unused, as Stable Diffusion does, which reads the states of its padding too.
    """

    def __init__(self, model: nn.Module, zero_padding: bool) -> None:
        super().__init__()
        self.model, self.zero_padding = model, zero_padding

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """input_ids, attention_mask (batch, T) int64 -> states (batch, T, D)."""
        if not self.zero_padding:
            return self.model(input_ids).last_hidden_state
        states = self.model(input_ids, attention_mask=attention_mask).last_hidden_state
        return states * attention_mask.unsqueeze(-1)


class PooledState(nn.Module):
    """The text embedding of a CLIPTextModelWithProjection, of length sqrt(D), as one token: Shap-E's text condition."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """input_ids (batch, T) int64; the mask is unused -> states (batch, 1, D)."""
        embedding = self.model(input_ids).text_embeds.float()  # the length of a long vector is beyond FP16's precision
        return (F.normalize(embedding, dim=-1) * embedding.shape[-1] ** 0.5).unsqueeze(1)


def text_encoder(model: nn.Module, length: int, *, zero_padding: bool = True, kind: str = "text_encoder",
                 precision: Precision = FP16_STORED) -> ComponentSpec:
    """`model` : BertModel or CLIPTextModel; `length` : T, the tokens of a prompt, padding included.

    zero_padding : see `TokenStates`; True for BERT, False for the CLIP encoder of a Stable Diffusion UNet
    """
    return _spec(kind, TokenStates(model, zero_padding), model.config.vocab_size, length, precision)


def pooled_text_encoder(model: nn.Module, length: int, *, kind: str = "prior_text_encoder",
                        precision: Precision = FP16_STORED) -> ComponentSpec:
    """`model` : CLIPTextModelWithProjection, for a prior that reads one text embedding."""
    return _spec(kind, PooledState(model), model.config.vocab_size, length, precision)


class Int8Embedding(nn.Module):
    """A token table in eight bits, with one scale a row: a quarter of FP32, off by at most 1/254 of the row's largest entry.

    The table is most of a small text encoder's file, and one row of it is read for each token.
    """

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


def _spec(kind: str, module: nn.Module, vocabulary: int, length: int, precision: Precision) -> ComponentSpec:
    shape = ("batch", length)
    inputs = (Input("input_ids", shape, _ids(vocabulary), {"empty prompt": _zeros}),
              Input("attention_mask", shape, _prefix_mask, {"empty prompt": _first_only}))
    return ComponentSpec(kind, in_half(module, precision), inputs, ("states",), {"batch": (2, 1, 3)}, precision, module)


def _ids(vocabulary: int):
    return lambda rng, shape: rng.integers(vocabulary, size=shape)


def _prefix_mask(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Ones, then zeros: the first token is always there."""
    return (np.arange(shape[1]) < rng.integers(1, shape[1] + 1, size=(shape[0], 1))).astype(np.int64)


def _zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """The padding of BERT and of Stable Diffusion 2 alike, everywhere."""
    return np.zeros(shape, np.int64)


def _first_only(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.broadcast_to(np.arange(shape[1]) < 1, shape).astype(np.int64)
