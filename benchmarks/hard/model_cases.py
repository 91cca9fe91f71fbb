"""Mutated models with right hashes: as a stranger's, where nothing may run; and, told apart, with trust given to them."""

import hashlib
import json
from pathlib import Path
from random import Random

import numpy as np
import onnx
from onnx import helper, numpy_helper

from benchmarks.hard.kinds import Kind
from benchmarks.hard.mutations import NUMBERS, bytes_changed, few
from meshwright.engines import open_engine
from meshwright.engines.errors import MeshwrightError, PackFormat, PackUntrusted
from meshwright.runtime import Pack, Pipeline
from meshwright.runtime.pack.golden import Golden
from tests.runtime import tiny_pack

WHOLE = [number for number in NUMBERS if isinstance(number, int) and number < 1 << 63]
OPERATORS = ("Relu", "Loop", "If", "GatherND", "Gather", "Expand", "Tile", "Range", "ConstantOfShape", "Resize", "Pad", "Conv", "Reshape",
             "TopK", "GridSample", "MaxPool", "ConvTranspose", "NonZero", "RandomNormal", "OneHot", "CumSum", "Trilu", "ScatterND")


class Models(Kind):
    """A pack from elsewhere with one mutated model, opened as any user would: refused, and nothing of it is run."""

    name, goal = "models", 2_000
    said = "mutated models with right hashes, in a pack that nobody trusts"

    def __init__(self, folder: Path) -> None:
        self.folder = tiny_pack.build(folder / "tiny")
        self.document = json.loads((self.folder / "pack.json").read_text())
        self.whole = {path.name: path.read_bytes() for path in self.folder.glob("*.onnx")}

    def case(self, number: int, rng: Random) -> str:
        name = rng.choice(sorted(self.whole))
        data = model_changed(self.whole[name], rng)
        try:
            self._put(name, data)
            return self._judged(name)
        finally:
            self._put(name, self.whole[name])

    def _judged(self, name: str) -> str:
        try:
            Pipeline.open(self.folder).close()
        except PackFormat:
            return "refused for what is in it"
        except PackUntrusted:
            return "refused until it is trusted"
        raise AssertionError("a pack that nobody trusts was opened")

    def _put(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)
        self.document["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        (self.folder / "pack.json").write_text(json.dumps(self.document))


class TrustedModels(Models):
    """The same with trust: what the list of operators lets through is opened and run on its golden inputs. Nothing is promised here."""

    name, goal, limit = "trusted models", 2_000, 20.0
    said = "the same, run all the same with trust given: not promised, but counted"

    def _judged(self, name: str) -> str:
        try:
            pack = Pack.open(self.folder)
        except PackFormat:
            return "refused for what is in it"
        component = next(each for each in pack.manifest.components.values() if each.file == name)
        try:
            with open_engine(pack.path(name), threads=1) as engine:
                Golden(pack).replay(engine, component)
        except MeshwrightError:
            return "refused by the backend"
        return "run"


def model_changed(data: bytes, rng: Random) -> bytes:
    """Bytes of the file; or attributes, operators, edges and weights of its graph."""
    if rng.random() < 0.3:
        return bytes_changed(data, rng)
    model = onnx.load_from_string(data)
    for _ in range(few(rng, 3)):
        rng.choice((_attribute, _attribute, _operator, _weight, _weight, _edge, _elsewhere, _new_node))(model, rng)
    return model.SerializeToString()


def _attribute(model: onnx.ModelProto, rng: Random) -> None:
    nodes = [node for node in model.graph.node if node.attribute and node.op_type != "Constant"]
    if not nodes:
        return
    attribute = rng.choice(rng.choice(nodes).attribute)
    attribute.name = attribute.name if rng.random() < 0.9 else rng.choice(("batch_dims", "axis", "to", "group", "body"))
    if attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice((*WHOLE, -1000, -(2**31)))
    else:
        attribute.i = rng.choice((*WHOLE, -1000, -(2**31), -(2**63)))


def _operator(model: onnx.ModelProto, rng: Random) -> None:
    node = rng.choice(model.graph.node)
    node.op_type = rng.choice((*OPERATORS, rng.choice(model.graph.node).op_type))
    if rng.random() < 0.1:
        node.domain = rng.choice(("com.microsoft", "ai.onnx.ml", "x"))


def _weight(model: onnx.ModelProto, rng: Random) -> None:
    """A constant's values, type or shape."""
    constants = [attribute.t for node in model.graph.node for attribute in node.attribute if attribute.HasField("t")]
    if not (tensors := [*constants, *model.graph.initializer]):
        return
    tensor = rng.choice(tensors)
    what = rng.randrange(3)
    if what == 0:
        tensor.data_type = rng.randrange(24)
    elif what == 1:
        dims = [*tensor.dims, 1]
        dims[rng.randrange(len(dims))] = rng.choice(WHOLE)
        del tensor.dims[:]
        tensor.dims.extend(dims)
    else:
        try:
            values = numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError, onnx.checker.ValidationError):  # an earlier change has broken it
            return
        filled = np.full(values.shape, rng.choice(WHOLE), np.int64).astype(values.dtype)
        tensor.CopyFrom(numpy_helper.from_array(filled, tensor.name))


def _edge(model: onnx.ModelProto, rng: Random) -> None:
    nodes = [node for node in model.graph.node if node.input]
    names = [name for node in nodes for name in (*node.input, *node.output)] + ["", "missing"]
    node = rng.choice(nodes)
    node.input[rng.randrange(len(node.input))] = rng.choice(names)


def _elsewhere(model: onnx.ModelProto, rng: Random) -> None:
    """A weight in a file that no hash is known of, or in memory."""
    location = rng.choice(("hidden.bin", "sub/h.bin", "../x", "/dev/zero", "*/_ORT_MEM_ADDR_/*", "tokenizer.json"))
    weight = onnx.TensorProto(name=f"hidden{rng.random()}", data_type=1, dims=[4], data_location=onnx.TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", str(rng.choice(WHOLE))), ("length", "16")):
        weight.external_data.add(key=key, value=value)
    model.graph.initializer.append(weight)


def _new_node(model: onnx.ModelProto, rng: Random) -> None:
    """What crashes, hangs or fills the memory."""
    graph, name = model.graph, f"new{rng.random()}"
    graph.initializer.append(numpy_helper.from_array(np.array([rng.choice(WHOLE), rng.choice(WHOLE)], np.int64), f"{name}s"))
    graph.initializer.append(numpy_helper.from_array(np.array(2**62, np.int64), f"{name}n"))
    graph.initializer.append(numpy_helper.from_array(np.array(True), f"{name}c"))
    body = helper.make_graph([helper.make_node("Identity", ["c"], ["o"])], "body", [
        helper.make_tensor_value_info("i", 7, []), helper.make_tensor_value_info("c", 9, [])], [helper.make_tensor_value_info("o", 9, [])])
    graph.node.append(rng.choice((
        helper.make_node("Loop", [f"{name}n", f"{name}c"], [], body=body),
        helper.make_node("ConstantOfShape", [f"{name}s"], [f"{name}o"]),
        helper.make_node("Expand", [f"{name}c", f"{name}s"], [f"{name}o"]),
        helper.make_node("GatherND", [f"{name}s", f"{name}s"], [f"{name}o"], batch_dims=rng.choice((-1000, -(2**31), -1))),
        helper.make_node("Tile", [f"{name}s", f"{name}s"], [f"{name}o"]),
        helper.make_node("Concat", [f"{name}s"] * 1000, [f"{name}o"], axis=rng.choice((0, -1, 5, 99))))))
