"""Text encoders that calculate in half precision: the same tensors outside, nearly the same values."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from meshwright.export.components.text_encoder import pooled_text_encoder, text_encoder
from meshwright.export.onnx.onnx_file import write_onnx
from meshwright.export.pack import parity
from meshwright.export.spec import FP16

CLIP = CLIPTextConfig(vocab_size=30, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
                      max_position_embeddings=7, projection_dim=8, eos_token_id=29, bos_token_id=28, pad_token_id=0)
BERT = BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)


@pytest.mark.slow
@pytest.mark.parametrize("build", [
    lambda: text_encoder(CLIPTextModel(CLIP).eval(), 7, zero_padding=False, precision=FP16),
    lambda: text_encoder(BertModel(BERT, add_pooling_layer=False).eval(), 7, precision=FP16),
    lambda: pooled_text_encoder(CLIPTextModelWithProjection(CLIP).eval(), 7, precision=FP16)])
def test_half_precision_stays_close(build, tmp_path):
    torch.manual_seed(0)
    spec = build()
    write_onnx(spec, tmp_path / spec.file)
    error, problem = parity.check(spec, tmp_path / spec.file, np.random.default_rng(0))
    assert problem is None and 1e-6 < error.rel < 1e-2
