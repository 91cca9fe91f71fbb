"""Large attention in pieces: ONNX Runtime's CPU kernel holds every score at once, 3.7 GB for one layer of 9600 tokens."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

# Bytes of scores that one node may hold. Pieces of this size ran as fast as the whole.
MAX_SCORES = 1 << 28
QUERY_AXIS = 2
# What an open batch is counted as: both halves of guidance.
OPEN_BATCH = 2


def split_attention(model: ir.Model, largest: int = MAX_SCORES) -> int:
    """Replace each `Attention` whose FP32 scores exceed `largest` bytes by several over parts of its queries.

    A query does not see the others, so the result is the same. Nodes with a mask, a cache, the causal option or an
    open axis other than the batch stay whole. Returns how many were split.
    """
    large = [node for node in model.graph if node.op_type == "Attention" and node.domain == "" and _scores(node) > largest]
    for node in large:
        _split(model.graph, node, -(-_scores(node) // largest))
    return len(large)


def _scores(node: ir.Node) -> int:
    """Bytes of the node's scores (batch, heads, queries, keys) in FP32; 0 for one that cannot be split."""
    query, key = node.inputs[:2]
    plain = not any(node.inputs[3:]) and len(node.outputs) == 1 and not node.attributes.get_int("is_causal", 0)
    if not plain or query is None or key is None or query.shape is None or key.shape is None:
        return 0
    if len(query.shape) != 4:
        return 0
    batch, *others = query.shape
    shape = [axis for axis in (*others, key.shape[-2]) if isinstance(axis, int)]
    if len(shape) != 4:
        return 0
    heads, queries, _, keys = shape
    return 4 * (batch if isinstance(batch, int) else OPEN_BATCH) * heads * queries * keys


def _split(graph: ir.Graph, node: ir.Node, pieces: int) -> None:
    query, *others = node.inputs
    assert query is not None and query.shape is not None  # as `_scores` asks
    length = query.shape[QUERY_AXIS]
    assert isinstance(length, int)
    size = -(-length // pieces)
    sizes = np.array([min(size, length - start) for start in range(0, length, size)], np.int64)
    name = node.outputs[0].name
    lengths = ir.Value(name=f"{name}.sizes", type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape(sizes.shape),
                       const_value=ir.tensor(sizes, name=f"{name}.sizes"))
    graph.initializers[f"{name}.sizes"] = lengths
    split = ir.Node("", "Split", [query, lengths], [ir.AttrInt64("axis", QUERY_AXIS)], num_outputs=len(sizes), name=f"{name}.split")
    parts = [ir.Node("", "Attention", [part, *others], list(node.attributes.values()), name=f"{name}.{i}")
             for i, part in enumerate(split.outputs)]
    for i, (part, rows) in enumerate(zip(parts, split.outputs, strict=True)):
        rows.name, part.outputs[0].name = f"{name}.queries.{i}", f"{name}.rows.{i}"
    joined = ir.Node("", "Concat", [part.outputs[0] for part in parts], [ir.AttrInt64("axis", QUERY_AXIS)], name=f"{name}.join")
    joined.outputs[0].type, joined.outputs[0].shape = node.outputs[0].type, node.outputs[0].shape
    graph.insert_before(node, [split, *parts, joined])
    node.outputs[0].replace_all_uses_with(joined.outputs[0], replace_graph_outputs=True)
    graph.remove(node, safe=True)
    joined.outputs[0].name = name
