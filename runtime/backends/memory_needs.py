"""How much memory a pack takes, on the CPU by `--memory` and on a GPU: an estimate from `pack.json` alone, made to err on the high side.

A component takes twice its file (FP16 weights are calculated with as FP32; beside FP32 ones ONNX Runtime keeps a copy in the
order that its kernels read fastest), one in 8 bits four times, a large file once more while it is open, and its activations while it
runs. Those grow with the pixels of its largest picture and with the width of its layers, which grows as the root of its parameters.
The full-size sharp-it pack in FP16: 16.8, 6.4 and 5.7 GB for normal, low and lowest; 13.2, 6.4 and 5.1 were measured.

On a GPU weights are held once, as they are calculated with; the same activations are added, and what CUDA and its libraries take for
themselves. None of that was measured on a card yet.
"""

from __future__ import annotations

import math
import re

from ...engines.errors import InputError
from ..pack.manifest import HALVES, Component, Manifest

# Model files from here on count: closing and opening the others would save little and take time.
LARGE = 64 << 20
HELD = {"fp32": 2, "fp16": 2, "int8": 4}
# Bytes for each pixel and each root of the parameters. Measured: 1.1 for the full-size image decoder, 0.9 for the encoder,
# 0.9 for the bundled pack's decoder.
ACTIVATIONS = 1.2
# Python, the libraries and the mesh: 0.3 to 0.4 GB for the bundled pack and for full-size text encoders.
PROCESS = 500_000_000
# Of a GPU: CUDA's context, and the code of cuBLAS and cuDNN. An allowance.
GPU_CONTEXT = 600 << 20
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


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


def on_gpu(manifest: Manifest, component: Component) -> tuple[int, int]:
    """Bytes of a GPU's memory that a component's weights take while it is open, and what it takes besides while it runs."""
    size = manifest.size(component)
    widened = {"fp32": size, "fp16": size if component.compute == "fp16" else 2 * size, "int8": 4 * size}
    return widened[component.precision], activations(component)


def gpu_needs(manifest: Manifest) -> dict[str, int]:
    """Bytes of a GPU's memory at the highest: "everything" where all components stay open, "least" where one is open at a time."""
    taken = [on_gpu(manifest, component) for component in manifest.components.values()]
    return {"everything": GPU_CONTEXT + sum(weights for weights, _ in taken) + max((running for _, running in taken), default=0),
            "least": GPU_CONTEXT + max(map(sum, taken), default=0)}


def check_fits(manifest: Manifest, vram: int) -> None:
    """InputError for a pack of which one component alone takes more of a GPU's memory than that."""
    needed = gpu_needs(manifest)
    if needed["least"] > vram:
        largest = max(manifest.components.values(), key=lambda component: sum(on_gpu(manifest, component)))
        raise InputError(f"pack {manifest.name} does not fit into that much GPU memory", received=size_text(vram),
                         expected=f"about {size_text(needed['least'])} at least, for {largest.name}",
                         remedy=f"vram {size_text(needed['least'])}, or run it on the processor: providers CPUExecutionProvider")


def read_size(size: int | str) -> int:
    """Bytes of "6G", "1.5G", "800M" (of 1024) or a number. InputError for anything else."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]?)(?:i?B)?\s*", str(size), re.IGNORECASE)
    if found is None or isinstance(size, bool) or not 0 < float(found[1]) < 1e15:
        raise InputError("a size of memory", received=repr(size), expected='"6G" or "800M", or a number of bytes')
    return int(float(found[1]) * UNITS[found[2].upper()])


def size_text(size: int) -> str:
    """What `read_size` reads back as that much or a little more."""
    return f"{math.ceil(size / (1 << 30) * 10) / 10:.1f}G"


def advice(needed: dict[str, int], available: int | None) -> str | None:
    """The first value of `--memory` that fits; None where none does, or nothing is known."""
    return next((how for how, count in needed.items() if available is not None and count <= available), None)
