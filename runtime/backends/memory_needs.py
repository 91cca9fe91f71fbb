"""How much memory a pack takes on the CPU, by `--memory`: an estimate from `pack.json` alone, made to err on the high side.

A component takes twice its file (FP16 weights are calculated with as FP32; beside FP32 ones ONNX Runtime keeps a copy in the
order that its kernels read fastest), one in 8 bits four times, a large file once more while it is open, and its activations while it
runs. Those grow with the pixels of its largest picture and with the width of its layers, which grows as the root of its parameters.
The full-size sharp-it pack in FP16: 16.8, 6.4 and 5.7 GB for normal, low and lowest; 13.2, 6.4 and 5.1 were measured.
"""

from __future__ import annotations

import math

from ..pack.manifest import HALVES, Component, Manifest
from .models import LARGE

HELD = {"fp32": 2, "fp16": 2, "int8": 4}
# Bytes for each pixel and each root of the parameters. Measured: 1.1 for the full-size image decoder, 0.9 for the encoder,
# 0.9 for the bundled pack's decoder.
ACTIVATIONS = 1.2
# Python, the libraries and the mesh: 0.3 to 0.4 GB for the bundled pack and for full-size text encoders.
PROCESS = 500_000_000


def is_large(manifest: Manifest, component: Component) -> bool:
    """Whether `--memory low` closes it between stages."""
    return manifest.size(component) >= LARGE


def needs(manifest: Manifest) -> dict[str, int]:
    """Bytes at the highest, for each value of `--memory` in the order of `models.MEMORY`."""
    components = manifest.components.values()
    small, large = (sum(_held(manifest, each) for each in components if is_large(manifest, each) == which) for which in (False, True))
    drawing = max(map(activations, components), default=0)
    one = max(((_held(manifest, each) + manifest.size(each)) * is_large(manifest, each) + activations(each) for each in components),
              default=0)
    return {"normal": PROCESS + small + large + largest_file(manifest) + drawing, "low": PROCESS + small + one,
            "lowest": PROCESS + small + drawing}


def _held(manifest: Manifest, component: Component) -> int:
    """Bytes of its weights while it is open."""
    return HELD[component.precision] * manifest.size(component)


def activations(component: Component) -> int:
    """Bytes that it takes while it runs, besides its weights."""
    tensors = (*component.spec.inputs, *component.spec.outputs)
    pictures = [tensor.shape[-2:] for tensor in tensors if len(tensor.shape) >= 4]
    pixels = max((height * width for height, width in pictures if isinstance(height, int) and isinstance(width, int)), default=0)
    # Both halves of guidance go through a step at once, which its token states or pictures show.
    first = [2 if tensor.shape[0] == HALVES else tensor.shape[0] for tensor in tensors if len(tensor.shape) >= 3]
    halves = max((length for length in first if isinstance(length, int)), default=1)
    return round(ACTIVATIONS * halves * pixels * math.sqrt(component.parameters))


def largest_file(manifest: Manifest) -> int:
    """Bytes that `--memory lowest` reads from the disk again in each step, unless they fit into what else is free."""
    return max((manifest.size(each) for each in manifest.components.values() if is_large(manifest, each)), default=0)


def advice(needed: dict[str, int], available: int | None) -> str | None:
    """The first value of `--memory` that fits; None where none does, or nothing is known."""
    return next((how for how, count in needed.items() if available is not None and count <= available), None)
