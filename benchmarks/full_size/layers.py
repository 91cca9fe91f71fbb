"""Where a step of the full-size UNets spends its time: the refiner's, and Zero123++'s with its two passes (reference attention).

    python -m benchmarks.full_size.layers

PyTorch, random weights, one half of guidance, one thread; processor time, so that other programs on the machine do not count. Layers are
grouped by kind and by the number of tokens or pixels that come out.
"""

from __future__ import annotations

import time
from collections import defaultdict

import torch
from torch import nn

from meshwright.export.models.reference_attention import ReferenceUNet

from ..harness.results import table
from . import configs
from .sizes import FULL

LATENT, REFERENCE = (120, 80), (64, 64)
KINDS = {"attn1": "self-attention", "attn2": "cross-attention", "ff": "feed-forward"}
Times = dict[tuple[str, int], float]


def network(channels: int) -> nn.Module:
    """The UNet with random weights."""
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        made = UNet2DConditionModel.from_config(configs.unet(FULL, channels))
    made = made.to_empty(device="cpu").eval().requires_grad_(False)
    for parameter in made.parameters():
        parameter.uniform_(-0.02, 0.02)
    return made


def watched(unet: nn.Module) -> Times:
    """Seconds of the processor by kind of layer and size, which fill up as the network runs."""
    found: Times = defaultdict(float)
    started: list[float] = []

    def watch(layer: nn.Module, kind: str) -> None:
        def after(_: nn.Module, args: tuple, output: object) -> None:
            tensor = output[0] if isinstance(output, tuple) else output
            size = tensor.shape[1] if tensor.ndim == 3 else tensor.shape[-1] * tensor.shape[-2]
            found[kind, size] += time.process_time() - started.pop()

        layer.register_forward_pre_hook(lambda *args: started.append(time.process_time()))
        layer.register_forward_hook(after)

    for name, layer in unet.named_modules():
        kind = KINDS.get(name.rpartition(".")[2], "residual" if type(layer).__name__ == "ResnetBlock2D" else None)
        if kind is not None:
            watch(layer, kind)
    return found


@torch.inference_mode()
def main() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    states, latent, timestep = torch.randn(1, configs.TOKENS, FULL.text.width), torch.randn(1, 4, *LATENT), torch.tensor([500.0])
    refiner = network(8)
    found, started = watched(refiner), time.process_time()
    refiner(torch.cat([latent, latent], dim=1), timestep, states, return_dict=False)
    sides = {"refiner": (time.process_time() - started, found)}
    del refiner
    drawing = network(4)
    found, started = watched(drawing), time.process_time()
    ReferenceUNet(drawing)(latent, torch.randn(1, 4, *REFERENCE), timestep, states)
    sides["Zero123++"] = (time.process_time() - started, found)
    keys = sorted({key for _, times in sides.values() for key in times}, key=lambda key: -max(t[key] for _, t in sides.values()))
    rows = [["all", "", *(f"{total:.2f}" for total, _ in sides.values())]]
    rows += [[kind, f"{size:,}", *(f"{times[kind, size]:.2f}" for _, times in sides.values())] for kind, size in keys]
    print(table(["layers", "tokens or pixels", *(f"{name}, s" for name in sides)], rows))


if __name__ == "__main__":
    main()
