"""An ONNX file becomes a TensorRT network, strongly typed: its precision is what the file says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import BackendError, EngineError, ModelFileError

# What the parser says of each node; more than these would not be read.
MAX_PROBLEMS = 5
# The input of an attention layer that its keys are; 0 are the queries and 2 the values.
KEYS = 1
# The axis of its keys that its heads are; and the input of a slice that says its lengths where they are not known beforehand.
HEADS, SLICE_LENGTHS = 1, 2


@dataclass(frozen=True)
class Range:
    """The lengths that an open axis may have, and the one that is made fastest: 1 <= low <= best <= high."""

    low: int
    best: int
    high: int

    def __post_init__(self) -> None:
        if not 1 <= self.low <= self.best <= self.high:
            raise EngineError("the range of an open axis", received=str(self), expected="1 <= low <= best <= high")

    def __str__(self) -> str:
        return f"{self.low}:{self.best}:{self.high}"


class Network:
    """A parsed network and what must outlive it: the weights stay where the parser read them.

    Raises ModelFileError for a file that is no model, BackendError for one that TensorRT cannot take, naming each
    node with its operator and the reason.
    """

    def __init__(self, trt: ModuleType, builder: Any, path: Path, logger: Any) -> None:
        self.definition = builder.create_network(_strongly_typed(trt))
        self._parser = trt.OnnxParser(self.definition, logger)
        self._weights: list[np.ndarray] = []
        # By name, so that weights beside the model are found.
        if not self._parser.parse_from_file(str(path)):
            raise _parser_error(trt, self._parser, path)
        parsed = [self.definition.get_layer(i) for i in range(self.definition.num_layers)]
        for layer in parsed:
            self._adapt(trt, layer)
        separate_keys(trt, self.definition, parsed)

    def add_profile(self, builder: Any, config: Any, axes: Mapping[str, Range]) -> None:
        """Give the open axes their ranges. A network without any needs no profile: its shapes are the tightest there are.

        axes : by the model's name of the axis; EngineError if one is missing.
        """
        tensors = [self.definition.get_input(i) for i in range(self.definition.num_inputs)]
        opened = [tensor for tensor in tensors if -1 in tuple(tensor.shape)]
        if not opened:
            return
        profile = builder.create_optimization_profile()
        for tensor in opened:
            profile.set_shape(tensor.name, *_shapes(tensor, axes))
        if config.add_optimization_profile(profile) < 0:
            raise BackendError("TensorRT refuses the ranges of the open axes", received=_listed(axes))

    def _adapt(self, trt: ModuleType, layer: Any) -> None:
        """Change what a parsed layer says only in form: TensorRT refuses two things that mean something else elsewhere."""
        if _is_attention(trt, layer):
            # Heads of a size that no fused kernel has are then calculated in parts; the others stay fused.
            layer.__class__ = trt.IAttentionInputLayer
            layer.attention.decomposable = True
        elif layer.type == trt.LayerType.CONSTANT and layer.get_output(0).dtype == trt.int8:
            self._widen(trt, layer)

    def _widen(self, trt: ModuleType, layer: Any) -> None:
        """INT8 constants may only be dequantised. Ours, a table of tokens, are looked up first: FP16 holds them exactly."""
        output = layer.get_output(0)
        consumers = [other for other in map(self.definition.get_layer, range(self.definition.num_layers))
                     if any(_is(other.get_input(i), output) for i in range(other.num_inputs))]
        if not any(other.type == trt.LayerType.DEQUANTIZE for other in consumers):
            layer.__class__ = trt.IConstantLayer
            self._weights.append(np.asarray(layer.weights).astype(np.float16))
            layer.weights = trt.Weights(self._weights[-1])


def separate_keys(trt: ModuleType, definition: Any, layers: Sequence[Any]) -> int:
    """Give attentions that read the same keys a copy of them each; returns how many copies were made.

    TensorRT-RTX 1.7.1 ends with a segmentation fault while it builds a network in which two attentions of different
    lengths share their keys, as both passes of a UNet with reference attention do over its text. Equal layers it merges
    by itself, identities too, so the copies are parts of one joined tensor: some kilobytes a step.

    layers : of `definition`, as the parser left them. Keys with an open axis other than the batch stay as they are.
    """
    made_by = {layer.get_output(i).name: layer for layer in layers for i in range(layer.num_outputs)}
    readers: dict[tuple, list[Any]] = {}
    for layer in filter(partial(_is_attention, trt), layers):
        keys = layer.get_input(KEYS)
        if -1 not in tuple(keys.shape)[1:]:
            readers.setdefault((_unscaled(trt, made_by, keys), tuple(keys.shape)), []).append(layer)
    shared = [attentions for attentions in readers.values() if len(attentions) > 1]
    for attentions in shared:
        _separate(definition, attentions)
    return sum(map(len, shared))


def _unscaled(trt: ModuleType, made_by: Mapping[str, Any], keys: Any) -> str:
    """The name of the keys before the parser multiplied them, for each attention anew, by the root of its scale."""
    layer = made_by.get(keys.name)
    return layer.get_input(0).name if layer is not None and layer.type == trt.LayerType.ELEMENTWISE else keys.name


def _separate(definition: Any, attentions: Sequence[Any]) -> None:
    """What each of them calls its keys, joined along the heads, and its own part of that for each."""
    keys = [layer.get_input(KEYS) for layer in attentions]
    joined = definition.add_concatenation(keys)
    joined.axis = HEADS
    shape = tuple(keys[0].shape)
    lengths = definition.add_shape(keys[0]).get_output(0) if -1 in shape else None
    for i, layer in enumerate(attentions):
        part = definition.add_slice(joined.get_output(0), (0, i * shape[HEADS], 0, 0), shape if lengths is None else (1,) * len(shape),
                                    (1, 1, 1, 1))
        if lengths is not None:
            part.set_input(SLICE_LENGTHS, lengths)
        layer.set_input(KEYS, part.get_output(0))


def _is_attention(trt: ModuleType, layer: Any) -> bool:
    return layer.type == getattr(trt.LayerType, "ATTENTION_INPUT", None)


def _strongly_typed(trt: ModuleType) -> int:
    """The flag, which TensorRT 11 may do without: there it is the only way."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _is(tensor: Any, other: Any) -> bool:
    return tensor is not None and tensor.name == other.name


def _shapes(tensor: Any, axes: Mapping[str, Range]) -> list[tuple[int, ...]]:
    """The least, the best and the largest shape of an input."""
    ranges = []
    for i, length in enumerate(tuple(tensor.shape)):
        name = tensor.get_dimension_name(i) or f"{tensor.name}_{i}"
        if length < 0 and name not in axes:
            raise EngineError(f"the open axis {name!r} of tensor {tensor.name!r} has no range", received=_listed(axes) or "none",
                              remedy="give one for it")
        ranges.append(axes[name] if length < 0 else Range(length, length, length))
    return [tuple(getattr(each, end) for each in ranges) for end in ("low", "best", "high")]


def _listed(axes: Mapping[str, Range]) -> str:
    return ", ".join(f"{name} {each}" for name, each in axes.items())


def _parser_error(trt: ModuleType, parser: Any, path: Path) -> EngineError:
    errors = [parser.get_error(i) for i in range(parser.num_errors)]
    if any("DESERIALIZE" in str(error.code()) for error in errors):
        return ModelFileError(f"{path.name} is not an ONNX model", received=_words(errors[0].desc()),
                              remedy="reinstall the pack")
    told = list(dict.fromkeys(map(_problem, errors)))
    more = [f"and {len(told) - MAX_PROBLEMS} more"] if len(told) > MAX_PROBLEMS else []
    return BackendError(f"{path.name} cannot be built", received=" | ".join([*told[:MAX_PROBLEMS], *more]) or "the parser gave no reason",
                        expected="operators that TensorRT takes", remedy="this component runs on ONNX Runtime")


def _problem(error: Any) -> str:
    name = error.node_name() or f"number {error.node()}"
    return f"node {name} ({error.node_operator() or 'unknown operator'}): {_words(error.desc())}"


def _words(text: str) -> str:
    return " ".join(text.split())
