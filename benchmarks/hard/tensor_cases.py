"""LoRA files, and checkpoints as safetensors, pickles and indices of shards."""

import json
from pathlib import Path
from random import Random

import numpy as np

from benchmarks.hard.kinds import Kind
from benchmarks.hard.mutations import bytes_changed, json_changed
from meshwright.engines.errors import CheckpointError, InputError
from meshwright.runtime.lora import read_lora

LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
UNDERSCORED = f"lora_unet_{LAYER.replace('.', '_')}"
MAX_TOUCHED = 1 << 30  # bytes; a pickle may say that one number stands for as many as it likes, which then take no memory


def safetensors_changed(data: bytes, rng: Random) -> bytes:
    """Bytes of the file; or its header, whose length is then right, and the values behind it."""
    if rng.random() < 0.4:
        return bytes_changed(data, rng)
    length = int.from_bytes(data[:8], "little")
    header, values = json.loads(data[8:8 + length]), data[8 + length:]
    if rng.random() < 0.2:  # the same bytes for many
        entry = next(value for name, value in header.items() if name != "__metadata__")
        header |= {f"unet.layer{i}.lora_A.weight": entry for i in range(rng.choice((10, 2000)))}
    else:
        header = json_changed(header, rng)
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    values = values if rng.random() < 0.8 else values[:rng.randrange(len(values))]
    return (len(text) if rng.random() < 0.9 else rng.choice((0, 1 << 20, 1 << 40, (1 << 64) - 1))).to_bytes(8, "little") + text + values


class LoraFiles(Kind):
    """Read, and each layer multiplied out."""

    name, goal = "loras", 1_000
    said = "LoRA files"

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import save

        self.path, random = folder / "style.safetensors", np.random.default_rng(0)
        down, up = random.standard_normal((2, 5)).astype(np.float32), random.standard_normal((6, 2)).astype(np.float32)
        notes = {"lora_adapter_metadata": json.dumps({"lora_alpha": 4, "alpha_pattern": {"attn1.to_q": 8}, "use_rslora": True})}
        self.seeds = [save({f"{LAYER}.lora_A.weight": down, f"{LAYER}.lora_B.weight": up}, notes),
                      save({f"{UNDERSCORED}.lora_down.weight": down.astype(np.float16), f"{UNDERSCORED}.lora_up.weight": up,
                            f"{UNDERSCORED}.alpha": np.array(1, np.float16)})]

    def case(self, number: int, rng: Random) -> str:
        self.path.write_bytes(safetensors_changed(rng.choice(self.seeds), rng))
        try:
            lora = read_lora(self.path)
        except InputError:
            return "refused"
        for layer in lora.layers.values():
            layer.delta(1.0)
        return "read"


class Checkpoints(Kind):
    """Read as the exporter reads them; every tensor is touched."""

    name, goal = "checkpoints", 1_000
    said = "checkpoints: safetensors, pickles, indices of shards"

    def __init__(self, folder: Path) -> None:
        import torch
        from safetensors.torch import save

        self.folder = folder
        tensors = {"conv.weight": torch.randn(4, 3, 3, 3), "norm.bias": torch.randn(8).half(), "steps": torch.tensor(7)}
        torch.save({"state_dict": tensors}, folder / "new.bin")
        torch.save(tensors, folder / "old.bin", _use_new_zipfile_serialization=False)
        self.safetensors = save(tensors)
        self.pickles = [(folder / name).read_bytes() for name in ("new.bin", "old.bin")]
        (folder / "shard.safetensors").write_bytes(self.safetensors)
        self.index = {"metadata": {"total_size": 500}, "weight_map": {name: "shard.safetensors" for name in tensors}}

    def case(self, number: int, rng: Random) -> str:
        from meshwright.export.published.checkpoint import files_of, read_tensors

        path = self._written(rng)
        try:
            files_of(path)
            tensors = read_tensors(path)
            for tensor in tensors.values():
                if tensor.numel() * tensor.element_size() < MAX_TOUCHED:
                    tensor.clone()
            return "read"
        except CheckpointError:
            return "refused"
        finally:
            path.unlink()

    def _written(self, rng: Random) -> Path:
        kind = rng.randrange(3)
        if kind == 0:
            path, data = self.folder / "model.safetensors", safetensors_changed(self.safetensors, rng)
        elif kind == 1:
            path, data = self.folder / "model.bin", bytes_changed(rng.choice(self.pickles), rng)
        else:
            path = self.folder / "model.safetensors.index.json"
            text = json.dumps(json_changed(self.index, rng)).encode("utf-8", "surrogatepass")
            data = text if rng.random() < 0.8 else bytes_changed(json.dumps(self.index).encode(), rng)
        path.write_bytes(data)
        return path
