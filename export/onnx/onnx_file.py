"""A component becomes one ONNX file: standard operators only, opset 23, no random numbers, no traces of this machine."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from torch import nn

from ...engines.errors import ExportError
from ..spec import ComponentSpec
from .attention import split_attention
from .group_norm import split_group_norms
from .int8 import SCALE, store_int8
from .operator_table import operators_parsed_once
from .weight_names import name_transposed, transposed_weights

OPSET = 23
RANDOM = frozenset({"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"})
# Smaller tensors are norms, biases, constants and the layers of small fields: few bytes, and they matter most.
MIN_HALF = 8192
# Weights of more bytes than this lie beside the graph: they are written one by one, and mapped from disk when they are
# read. A protobuf file could not pass 2 GiB anyway.
MAX_FILE_BYTES = 256_000_000
# Where they start, so that a system can map each of them; smaller ones stay in the graph.
PAGE = 4096


def write_onnx(spec: ComponentSpec, path: Path, *, largest_file: int = MAX_FILE_BYTES) -> None:
    """Export `spec` to `path`; weights of more than `largest_file` bytes go to `PATH.data` beside it.

    Errors: ExportError if PyTorch cannot export the module, or if the graph holds an operator that it must not.
    """
    model = _trace(spec)
    weights = _weights(model)
    try:
        _forget_machine(model)
        check_operators(model, spec.kind)
        if spec.precision.compute == "fp32":  # in FP16 the graph is for GPUs, where TensorRT takes both nodes whole
            split_attention(model)
            split_group_norms(model)
        if spec.precision.weights == "int8":
            store_int8(model, MIN_HALF, spec.in_halves)
        if spec.precision.weights in ("fp16", "int8"):
            store_half(model, spec.kind)
        save(model, path, largest_file=largest_file)
    finally:
        # onnxscript's rewriting rules remember the last graph that they saw, and with it the whole network.
        for value in {*weights, *_weights(model)}:
            value.const_value = None


def save(model: ir.Model, path: Path, *, largest_file: int = MAX_FILE_BYTES) -> None:
    """Write a finished graph, its weights within or beside it as `write_onnx` says."""
    size = sum(value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value is not None)
    beside: dict[str, Any] = {"external_data": f"{path.name}.data", "size_threshold_bytes": PAGE, "alignment": PAGE, "align_threshold": 0}
    ir.save(model, path, **(beside if size > largest_file else {}))


def _weights(model: ir.Model) -> list[ir.Value]:
    """Everything in the graph that holds numbers; what the optimiser has replaced is still noted among the inputs."""
    return [*model.graph.initializers.values(), *getattr(model.graph.inputs, "_ref_counter", ())]


def _trace(spec: ComponentSpec) -> ir.Model:
    example = spec.sample(np.random.default_rng(0), spec.sizes()[0])
    dims = {name: torch.export.Dim(name) for name in spec.axes or {}}
    dynamic = tuple({i: dims[axis] for i, axis in enumerate(tensor.shape) if isinstance(axis, str)}
                    for tensor in spec.inputs)
    try:
        with _quiet(), operators_parsed_once():
            program = torch.onnx.export(
                _Positional(spec.module).eval(), tuple(torch.from_numpy(array) for array in example.values()), dynamo=True,
                opset_version=OPSET, input_names=list(example), output_names=list(spec.outputs),
                dynamic_shapes=(dynamic,) if dims else None, verbose=False, report=False, optimize=False)
            transposed = transposed_weights(program.model)
            program.optimize()
    except Exception as error:
        raise ExportError(f"{spec.kind} cannot be exported", received=_root_line(error)) from error
    name_transposed(program.model, transposed)
    return program.model


class _Positional(nn.Module):
    """Hides the names of the arguments, so that open axes are given by position for every module alike."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        return self.module(*tensors)


@contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch's exporter reports its progress and other packages' deprecations: nothing a user can act on."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _root_line(error: BaseException) -> str:
    """The first line of what went wrong first: PyTorch wraps it in advice on reporting bugs."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _forget_machine(model: ir.Model) -> None:
    """Drop stack traces and source paths, which PyTorch writes into every node: they name folders of this machine."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    model.graph.doc_string = model.doc_string = None
    model.graph.name = "main"
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
    for value in [*model.graph.inputs, *model.graph.initializers.values()]:
        value.metadata_props.clear()


def check_operators(model: ir.Model, kind: str) -> None:
    """Errors: ExportError for an operator that draws random numbers, or one that only some runtimes know."""
    nodes = list(model.graph.all_nodes())
    random = sorted({node.op_type for node in nodes if node.op_type in RANDOM})
    if random:
        raise ExportError(f"{kind} generates random numbers in its graph", received=", ".join(random),
                          expected="noise as an input", remedy="call .eval(), and pass noise in from the host")
    foreign = sorted({f"{node.domain}::{node.op_type}" for node in nodes if node.domain not in ("", "ai.onnx")})
    if foreign:
        raise ExportError(f"{kind} needs operators outside the standard", received=", ".join(foreign),
                          expected=f"ONNX opset {OPSET}")


def store_half(model: ir.Model, kind: str) -> None:
    """Keep large FP32 weights as FP16, each followed by a Cast to FP32: half the file, the same arithmetic.

    ONNX Runtime folds the casts when it loads the model. The halves are made while they are written, one at a time.
    Errors: ExportError for a weight beyond FP16's range.
    """
    graph = model.graph
    for name, value in list(graph.initializers.items()):
        weight = value.const_value
        if value.dtype != ir.DataType.FLOAT or weight is None or weight.size < MIN_HALF or name.endswith(SCALE):
            continue
        _check_half(weight, f"weight {name} of {kind}")
        half = ir.LazyTensor(partial(_half, weight), ir.DataType.FLOAT16, ir.Shape(weight.shape.numpy()), name=f"{name}.half")
        stored = ir.Value(name=half.name, type=ir.TensorType(half.dtype), shape=value.shape, const_value=half)
        cast = ir.Node("", "Cast", [stored], [ir.AttrInt64("to", ir.DataType.FLOAT)], name=f"{name}.cast")
        cast.outputs[0].type, cast.outputs[0].shape = value.type, value.shape
        value.replace_all_uses_with(cast.outputs[0])
        del graph.initializers[name]
        cast.outputs[0].name = name
        graph.initializers[f"{name}.half"] = stored
        graph.insert_before(graph[0], cast)


def _check_half(tensor: ir.TensorProtocol, subject: str) -> None:
    weights = tensor.numpy()
    largest = float(max(weights.max(), -weights.min()))
    if not largest <= float(np.finfo(np.float16).max):  # true of NaN as well
        raise ExportError(f"{subject} does not fit FP16", received=f"{largest:g}", expected="at most 65504",
                          remedy="export this component in FP32")


def _half(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    return ir.tensor(tensor.numpy().astype(np.float16), name=tensor.name)
