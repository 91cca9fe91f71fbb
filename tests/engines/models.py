"""Tiny models, written to files as any exporter writes them."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def tensor(name, shape, dtype=FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def save(path: Path, nodes, inputs, outputs, initializers=()) -> Path:
    graph = helper.make_graph(nodes, "model", inputs, outputs, list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def affine(path: Path) -> Path:
    """y = scale * x + shift, with (batch, 3) tensors and a scale of one element."""
    nodes = [helper.make_node("Mul", ["x", "scale"], ["product"]), helper.make_node("Add", ["product", "shift"], ["y"])]
    return save(path, nodes, [tensor("x", ["batch", 3]), tensor("scale", [1]), tensor("shift", ["batch", 3])],
                [tensor("y", ["batch", 3])])


def loop(path: Path) -> Path:
    """x_next = gain x + bias + z ; count_next = count + 1 ; twice = 2 x, which no step needs."""
    one = helper.make_tensor("one", TensorProto.INT64, [], [1])
    nodes = [helper.make_node("Mul", ["x", "gain"], ["product"]), helper.make_node("Add", ["product", "bias"], ["sum"]),
             helper.make_node("Add", ["sum", "z"], ["x_next"]),
             helper.make_node("Add", ["count", "one"], ["count_next"]), helper.make_node("Add", ["x", "x"], ["twice"])]
    vector = ["length"]
    inputs = [tensor("x", vector), tensor("count", [], TensorProto.INT64), tensor("gain", []), tensor("z", vector),
              tensor("bias", vector)]
    outputs = [tensor("x_next", vector), tensor("count_next", [], TensorProto.INT64), tensor("twice", vector)]
    return save(path, nodes, inputs, outputs, [one])


def nonzero(path: Path) -> Path:
    """Indices of the nonzero elements: the output's length is known after the run only."""
    return save(path, [helper.make_node("NonZero", ["x"], ["found"])], [tensor("x", ["length"])],
                [tensor("found", [1, "count"], TensorProto.INT64)])


def reshape(path: Path) -> Path:
    """Reshape to the shape in an input: fails in the vendor's package for a shape of another size."""
    return save(path, [helper.make_node("Reshape", ["x", "shape"], ["y"])],
                [tensor("x", [6]), tensor("shape", [2], TensorProto.INT64)], [tensor("y", ["rows", "columns"])])


def half_weights(path: Path, width: int, layers: int) -> Path:
    """y = x W1 W2 ...: weights of shape (width, width) in FP16 in `PATH.data`, cast to FP32 in the graph, as the exporter does."""
    weights = np.random.default_rng(0).standard_normal((layers, width, width)).astype(np.float16) / np.float16(width**0.5)
    names = ["x", *(f"x{i + 1}" for i in range(layers - 1)), "y"]
    nodes = [node for i in range(layers) for node in (
        helper.make_node("Cast", [f"w{i}.half"], [f"w{i}"], to=FLOAT), helper.make_node("MatMul", [names[i], f"w{i}"], [names[i + 1]]))]
    save(path, nodes, [tensor("x", ["rows", width])], [tensor("y", ["rows", width])],
         [numpy_helper.from_array(weight, f"w{i}.half") for i, weight in enumerate(weights)])
    onnx.save(onnx.load(path), path, save_as_external_data=True, location=f"{path.name}.data", size_threshold=0)
    return path


def int8_weights(path: Path, beside: bool = False) -> Path:
    """y = conv(x) as (8, 96) times a matrix, in 8 bits with a scale for each 32 and 64 inputs, the last blocks shorter. x (1, 40, 6, 6).

    beside : whether the weights lie in `PATH.data`
    """
    rng, held = np.random.default_rng(0), []
    for name, shape, scales in (("conv", (48, 40, 3, 3), (48, 2, 3, 3)), ("matrix", (96, 5), (2, 5))):
        held += [numpy_helper.from_array(rng.integers(-127, 128, shape, np.int8), f"{name}.int8"),
                 numpy_helper.from_array(rng.uniform(5e-3, 7e-3, scales).astype(np.float32), f"{name}.scale")]
    held.append(numpy_helper.from_array(np.array([8, 96]), "shape"))
    nodes = [helper.make_node("DequantizeLinear", ["conv.int8", "conv.scale"], ["conv"], axis=1, block_size=32),
             helper.make_node("DequantizeLinear", ["matrix.int8", "matrix.scale"], ["matrix"], axis=0, block_size=64),
             helper.make_node("Conv", ["x", "conv"], ["maps"]), helper.make_node("Reshape", ["maps", "shape"], ["rows"]),
             helper.make_node("MatMul", ["rows", "matrix"], ["y"])]
    save(path, nodes, [tensor("x", [1, 40, 6, 6])], [tensor("y", [8, 5])], held)
    if beside:
        onnx.save(onnx.load(path), path, save_as_external_data=True, location=f"{path.name}.data", size_threshold=64)
    return path
