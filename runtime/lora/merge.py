"""LoRAs become weights of one network: found by name in its model file, and added up in float32 before they are rounded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...engines.errors import InputError
from ...engines.onnxruntime.weights import Int8Weight, ModelWeights, StoredWeight
from .file import Layer, Lora, first_few

# What the exporter calls weights (`export/onnx/weight_names.py`): the network's own names behind one of these, and marks behind them.
PREFIXES = ("module.net.unet.", "module.net.")
WEIGHT, TRANSPOSED, HALF = ".weight", ".T", ".half"
REEXPORT = "export the pack again: in this one they cannot be found by name"


@dataclass(frozen=True)
class WeightLayout:
    """One of the ways in which a graph holds a layer's weight."""

    stored: StoredWeight | Int8Weight
    is_transposed: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the layer's weight, as PyTorch has it."""
        return self.stored.shape[::-1] if self.is_transposed else self.stored.shape


class NetworkWeights:
    """The weights of a network's layers in its model file."""

    def __init__(self, model: Path) -> None:
        self.model = model
        self.layers: dict[str, list[WeightLayout]] = {}
        stored = ModelWeights(model).stored
        prefix = next((each for each in PREFIXES if any(name.startswith(each) for name in stored)), PREFIXES[-1])
        for name, weight in stored.items():
            layer, layout = _layout(name.removeprefix(prefix), weight)
            if name.startswith(prefix) and layer is not None:
                self.layers.setdefault(layer, []).append(layout)
        # A weight of a linear layer without a name: the exporter used to write them so.
        self.has_nameless = any(name.startswith("val_") and len(weight.shape) == 2 and weight.dtype.kind == "f"
                                for name, weight in stored.items())

    def merged(self, loras: Sequence[tuple[Lora, float]]) -> dict[str, np.ndarray]:
        """The weights that the LoRAs change, each with its scale, by the names that they have in the model file.

        InputError that lists the layers that the network does not have, or whose weights have another shape.
        """
        found = [(self._found(lora), scale) for lora, scale in loras]
        merged: dict[str, np.ndarray] = {}
        # Layer by layer: all changes of a large network at once would be twice its size.
        for name in dict.fromkeys(name for layers, _ in found for name in layers):
            with np.errstate(over="ignore", invalid="ignore"):  # looked for afterwards
                change = sum((layers[name].delta(scale) for layers, scale in found if name in layers), np.zeros((), np.float32))
                merged |= {layout.stored.name: _sum(layout, change.reshape(layout.shape)) for layout in self.layers[name]}
        return merged

    def _found(self, lora: Lora) -> Mapping[str, Layer]:
        """The LoRA's layers under the network's names."""
        plain = {name.replace(".", "_"): name for name in self.layers}
        names = {name: plain.get(name, name) if name in lora.underscored else name for name in lora.layers}
        unknown = [name for name, own in names.items() if own not in self.layers]
        if unknown:
            raise InputError(f"the LoRA {lora.name} is for layers that {self.model.stem} does not have", received=first_few(unknown),
                             expected=first_few(list(self.layers)), remedy=REEXPORT if self.has_nameless else None)
        if len(set(names.values())) < len(names):
            raise InputError(f"the LoRA {lora.name} has a layer twice", received="names with dots and with underscores for the same one")
        self._check_shapes(lora, names)
        return {names[name]: layer for name, layer in lora.layers.items()}

    def _check_shapes(self, lora: Lora, names: Mapping[str, str]) -> None:
        wrong = [f"{name} {layer.shape}, not {self.layers[names[name]][0].shape}" for name, layer in lora.layers.items()
                 if _flat(layer.shape) != _flat(self.layers[names[name]][0].shape)]
        if wrong:
            raise InputError(f"the LoRA {lora.name} does not fit {self.model.stem}: weights of other shapes", received=first_few(wrong))


def _layout(name: str, weight: StoredWeight | Int8Weight) -> tuple[str | None, WeightLayout]:
    """The layer whose weight it is, None for what is no weight of a layer, and how it is held."""
    name = name.removesuffix(HALF)
    layout = WeightLayout(weight, name.endswith(TRANSPOSED))
    name = name.removesuffix(TRANSPOSED)
    is_weight = name.endswith(WEIGHT) and len(weight.shape) in (2, 4) and weight.dtype.kind == "f"
    return (name.removesuffix(WEIGHT) if is_weight else None), layout


def _flat(shape: Iterable[int]) -> tuple[int, ...]:
    """A convolution of one pixel and a linear layer have the same weights."""
    shape = tuple(shape)
    return shape[:2] if shape[2:] == (1, 1) else shape


def _sum(layout: WeightLayout, change: np.ndarray) -> np.ndarray:
    stored = layout.stored
    total = np.add(stored.read(), change.T if layout.is_transposed else change, order="C")
    largest = max(total.max(), -total.min())
    if not largest <= np.finfo(stored.dtype).max:  # true of NaN as well
        raise InputError(f"the LoRA exceeds the range of {stored.dtype}", received=f"weight {stored.name}",
                         remedy="use a smaller scale")
    return total.astype(stored.dtype, copy=False)
