"""The tiny pack with a layer in its refiner that a LoRA can change: a convolution of one pixel, which does nothing by itself."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from tests.runtime import tiny_pack
from tests.runtime.lora.lora_files import write as write_lora

NAME = "module.net.mix.weight"
ONE = ", ".join("1.0" if row == column else "0.0" for row in range(4) for column in range(4))
REFINER = tiny_pack.REFINER.replace("predicted = Add(coarse, little)", f"""mix = Constant<value = float[4,4,1,1] {{{ONE}}}>()
    sum = Add(coarse, little)
    predicted = Conv(sum, mix)""")


def build(folder: Path, graphs: Mapping[str, str] = tiny_pack.GRAPHS, sections: Mapping[str, Any] = tiny_pack.SHARP_IT) -> Path:
    """Write the pack into a new folder; its layer is called "mix". graphs, sections : of another tiny pack"""
    tiny_pack.write(folder, {**graphs, "refiner_step": REFINER}, sections)
    path = folder / "refiner_step.onnx"
    model = onnx.load(path)
    constant = next(node for node in model.graph.node if node.output[0] == "mix")
    model.graph.initializer.append(numpy_helper.from_array(np.eye(4, dtype=np.float32).reshape(4, 4, 1, 1), NAME))
    model.graph.node.remove(constant)
    next(node for node in model.graph.node if node.op_type == "Conv").input[1] = NAME
    onnx.save(model, path)
    document = json.loads((folder / "pack.json").read_text())
    document["files"][path.name] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
    (folder / "pack.json").write_text(json.dumps(document))
    return folder


def swap(path: Path, strength: float = 0.8, layer: str = "mix") -> Path:
    """A LoRA file that mixes the first two channels."""
    down, up = np.zeros((1, 4, 1, 1), np.float32), np.zeros((4, 1, 1, 1), np.float32)
    down[0, 0], up[1, 0] = strength, 1.0
    return write_lora(path, {f"unet.{layer}.lora_A.weight": down, f"unet.{layer}.lora_B.weight": up})
