"""Weights in a graph are found by their parameters' names, those that the exporter stores transposed as well.

A weight of a linear layer is calculated with as (inputs, outputs), which is the transpose of PyTorch's parameter. The exporter
transposes it once and for all, and the result has no name that says where it came from. Here it gets one:

    NAME     a parameter as PyTorch has it, such as module.net.conv_in.weight
    NAME.T   the same, its two axes exchanged
    .half    behind either, where the numbers are kept as FP16 and a Cast makes FP32 of them (`onnx_file.store_half`)
    .int8, .scale   the same, where they are kept in 8 bits and a DequantizeLinear makes FP32 of them (`int8.store_int8`)
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

TRANSPOSED = ".T"


def transposed_weights(model: ir.Model) -> dict[str, str]:
    """The name of each value of an unoptimised graph that is a transposed weight -> the name of that weight."""
    found: dict[str, str] = {}
    for node in model.graph:
        transposes = node.op_type == "Transpose" and node.domain == "" and list(node.attributes.get_ints("perm", [1, 0])) == [1, 0]
        weight, name = node.inputs[0] if transposes else None, node.outputs[0].name
        if weight is not None and weight.name is not None and name is not None and _is_matrix(weight):
            found[name] = weight.name
    return found


def name_transposed(model: ir.Model, weights: Mapping[str, str]) -> None:
    """Call every initializer that `weights` knows by the name of its parameter, marked as transposed.

    Two that hold the same weight, of a layer that is called more than once, become one.
    """
    graph = model.graph
    for name in [name for name in graph.initializers if name in weights]:
        value, named = graph.initializers.pop(name), weights[name] + TRANSPOSED
        if named in graph.initializers:
            value.replace_all_uses_with(graph.initializers[named])
            continue
        value.name = named
        if value.const_value is not None:
            value.const_value.name = named
        graph.initializers[named] = value


def _is_matrix(value: ir.Value) -> bool:
    return value.is_initializer() and value.shape is not None and len(value.shape) == 2
