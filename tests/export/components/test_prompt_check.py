import numpy as np
import pytest
import torch

from meshwright.engines import open_engine
from meshwright.export.components.prompt_check import TEMPERATURE, PromptCheck, prompt_check
from meshwright.export.onnx.onnx_file import write_onnx

KNOWN = torch.tensor([[2.0, 0.0, 0.0]])
OTHERS = torch.tensor([[0.0, 3.0, 0.0], [0.0, 0.0, 1.0]])


def test_the_likeness_is_the_cosine_to_known_and_other_texts():
    states = torch.tensor([[[0.0, 4.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]]])
    known, others = PromptCheck(KNOWN, OTHERS, margin=0.25)(states)[0].tolist()
    assert known == pytest.approx(0.0, abs=1e-6)
    # One of the two others points the same way, the other does not: the logarithm of the mean of exp(1 / t) and exp(0).
    assert others == pytest.approx(TEMPERATURE * np.log((np.exp(1 / TEMPERATURE) + 1) / 2) - 0.25, abs=1e-6)


def test_the_exported_check_tells_prompts_apart(tmp_path):
    spec = prompt_check(PromptCheck(KNOWN, OTHERS, margin=0.05), (4, 3))
    write_onnx(spec, tmp_path / spec.file)
    with open_engine(tmp_path / spec.file, threads=1) as engine:
        for direction, is_known in ((0, True), (1, False), (2, False)):
            states = np.zeros((1, 4, 3), np.float32)
            states[0, 0, direction] = 5
            likeness = engine.run({"states": states})["likeness"]
            assert likeness.shape == (1, 2)
            assert (likeness[0, 0] > likeness[0, 1]) == is_known
