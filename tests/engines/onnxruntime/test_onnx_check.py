"""Models that may be opened, and those that are refused before a backend sees them."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from meshwright.engines.errors import ModelFileError
from meshwright.engines.onnxruntime.onnx_check import check_model

F, I64 = TensorProto.FLOAT, TensorProto.INT64


def graph(nodes, weights=(), outputs=("y",)):
    return helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", F, ["n", 2])],
                             [helper.make_tensor_value_info(name, F, None) for name in outputs], list(weights))


def saved(path, nodes, weights=(), **model):
    made = helper.make_model(graph(nodes, weights), **{"opset_imports": [helper.make_opsetid("", 21)], **model})
    onnx.save(made, path)
    return path


def int64(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def node(operator, *inputs, domain="", **attributes):
    return helper.make_node(operator, list(inputs), ["y"], domain=domain, **attributes)


def beside(name, location, offset=0, length=16, **more):
    """A weight of four values that lies elsewhere."""
    tensor = TensorProto(name=name, data_type=F, dims=[2, 2], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": str(offset), "length": str(length), **more}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


SUB = graph([helper.make_node("Relu", ["x"], ["z"])])


def test_what_our_exporter_writes_passes(tmp_path):
    weight = numpy_helper.from_array(np.ones((2, 2), np.float32), "w")
    typed = helper.make_tensor("t", F, [2], [1.0, 2.0])
    check_model(saved(tmp_path / "a.onnx", [helper.make_node("MatMul", ["x", "w"], ["m"]), node("Add", "m", "t")], [weight, typed]), ())
    check_model(saved(tmp_path / "b.onnx", [node("Reshape", "x", "s")], [int64("s", -1, 0)]), ())
    check_model(saved(tmp_path / "c.onnx", [node("Slice", "x", "s", "e")], [int64("s", 0), int64("e", 2**63 - 1)]), ())


@pytest.mark.parametrize(("nodes", "weights", "message"), [
    ([node("Loop", "x", body=SUB)], [], "operator Loop"),
    ([node("If", "x", then_branch=SUB, else_branch=SUB)], [], "operator If"),
    ([node("Relu", "x", hidden=SUB)], [], "a graph in operator Relu"),
    ([node("RandomNormal", shape=[2, 2])], [], "operator RandomNormal"),
    ([node("Relu", "x", domain="com.microsoft")], [], "operator com.microsoft:Relu"),
    ([node("GatherND", "x", "i", batch_dims=-1000)], [int64("i", 0)], "GatherND with batch_dims -1000; expected 0 to 16"),
    ([node("GatherND", "x", "i", batch_dims=-(2**31))], [int64("i", 0)], "GatherND with batch_dims -2147483648"),
    ([node("Conv", "x", "w", strides=[1, 2**40])], [], "Conv with strides 1099511627776"),
    ([helper.make_node("Split", ["x"], ["y", "z"], num_outputs=3)], [], r"Split with num_outputs \[3\] and 2 outputs"),
    ([helper.make_node("Split", ["x", "s"], ["y", "z"])], [int64("s", 1, 1, 1)], "Split into 3 with 2 outputs"),
    ([node("Softmax", "x", axis=99)], [], "Softmax with axis 99; expected -16 to 16"),
    ([node("ConstantOfShape", "s")], [int64("s", 1 << 16, 1 << 16)], "ConstantOfShape to .65536, 65536."),
    ([node("ConstantOfShape", "s")], [int64("s", 1, 1 << 31)], "at most 134217728 values"),
    ([node("Expand", "x", "s")], [int64("s", 1 << 33)], "Expand to"),
    ([helper.make_node("Constant", [], ["s"], value_ints=[1 << 20, 1 << 20]), node("Tile", "x", "s")], [], "Tile to"),
    ([helper.make_node("Constant", [], ["s"], value=int64("", 1 << 62)), node("Range", "z", "s", "o")], [], "Range to"),
    ([node("Resize", "x", "", "f")], [numpy_helper.from_array(np.float32([1, np.nan]), "f")], "Resize to"),
    ([node("Relu", "x")], [TensorProto(name="w", data_type=F, dims=[1 << 40], raw_data=b"1234")], "weight 'w' .*4 bytes for 1099511627776"),
    ([node("Relu", "x")], [TensorProto(name="w", data_type=F, dims=[1 << 40], float_data=[1.0])], "too few values"),
    ([node("Relu", "x")], [TensorProto(name="w", data_type=TensorProto.STRING, dims=[1], string_data=[b"a"])], "of text"),
    ([helper.make_node("Constant", [], ["y"], value=beside("c", "a.onnx.data"))], [], "in another file"),
])
def test_refused(tmp_path, nodes, weights, message):
    path = saved(tmp_path / "a.onnx", nodes, weights)
    (tmp_path / "a.onnx.data").write_bytes(bytes(64))
    with pytest.raises(ModelFileError, match=message):
        check_model(path, ["a.onnx.data"])


def test_other_parts_of_a_model_are_refused(tmp_path):
    function = helper.make_function("d", "f", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], [helper.make_opsetid("", 21)])
    with pytest.raises(ModelFileError, match="functions"):
        check_model(saved(tmp_path / "a.onnx", [node("Relu", "x")], functions=[function]), ())
    with pytest.raises(ModelFileError, match="operators of 'evil'"):
        check_model(saved(tmp_path / "b.onnx", [node("Relu", "x")], opset_imports=[helper.make_opsetid("evil", 1)]), ())
    model = helper.make_model(graph([node("Relu", "x")]))
    model.graph.sparse_initializer.add(dims=[2])
    onnx.save(model, tmp_path / "c.onnx")
    with pytest.raises(ModelFileError, match="sparse weights"):
        check_model(tmp_path / "c.onnx", ())
    trained = helper.make_model(graph([node("Relu", "x")]))
    trained.training_info.add().algorithm.CopyFrom(SUB)
    (tmp_path / "d.onnx").write_bytes(trained.SerializeToString())
    with pytest.raises(ModelFileError, match="training steps"):
        check_model(tmp_path / "d.onnx", ())


@pytest.mark.parametrize(("weight", "message"), [
    (beside("w", "a.onnx.data", 0, 16), None), (beside("w", "a.onnx.data", 48, 16), None),
    (beside("w", "a.onnx.data", 49, 16), "bytes 49 to 65 of 64"), (beside("w", "a.onnx.data", 0, 64), "bytes 0 to 64"),
    (beside("w", "hidden.bin"), "in the file 'hidden.bin'"), (beside("w", "sub/h.bin"), "in the file 'sub/h.bin'"),
    (beside("w", "../a.onnx.data"), "in the file"), (beside("w", "*/_ORT_MEM_ADDR_/*", 4096), "in the file"),
    (beside("w", "a.onnx.data", "-1"), "numbers of bytes"), (beside("w", "a.onnx.data", 10**30), "numbers of bytes"),
    (beside("w", "a.onnx.data", prepacked_0="x|0|8|h"), "whose place is told by"),
])
def test_weights_beside_the_model(tmp_path, weight, message):
    path = saved(tmp_path / "a.onnx", [node("MatMul", "x", "w")], [weight])
    for name in ("a.onnx.data", "hidden.bin"):
        (tmp_path / name).write_bytes(bytes(64))
    if message is None:
        check_model(path, ["a.onnx.data"])
        return
    with pytest.raises(ModelFileError, match=message):
        check_model(path, ["a.onnx.data", "hidden.bin"])


def test_weights_beside_the_model_are_listed_and_no_link(tmp_path):
    path = saved(tmp_path / "a.onnx", [node("MatMul", "x", "w")], [beside("w", "a.onnx.data")])
    (tmp_path / "real").write_bytes(bytes(64))
    (tmp_path / "a.onnx.data").symlink_to("real")
    with pytest.raises(ModelFileError, match="listed with its hash"):
        check_model(path, ["a.onnx"])
    with pytest.raises(ModelFileError, match="a link or no file"):
        check_model(path, ["a.onnx.data"])


def field(number, data):
    return bytes([number << 3 | 2, len(data)]) + data


def test_what_decoders_would_read_otherwise(tmp_path):
    """A field that stands twice, of which the last one counts there; an enumeration of 33 bits, which is cut to 32."""
    loop_twice = field(4, b"Relu") + field(4, b"Loop")
    place = bytes([14 << 3, 0x81, 0x80, 0x80, 0x80, 0x10])
    outside = bytes([1 << 3, 1, 2 << 3, 1]) + field(8, b"w") + field(13, field(1, b"location") + field(2, b"hidden.bin")) + place
    for inner, message in ((field(1, loop_twice), "a duplicate field in the "), (field(5, outside), "in the file 'hidden.bin'")):
        (tmp_path / "a.onnx").write_bytes(bytes([1 << 3, 8]) + field(7, inner))
        with pytest.raises(ModelFileError, match=message):
            check_model(tmp_path / "a.onnx", ())


def test_names_that_are_no_text(tmp_path):
    path = saved(tmp_path / "a.onnx", [node("Relu", "x")])
    path.write_bytes(path.read_bytes().replace(b"\x12\x01n", b"\x12\x01\xff"))
    with pytest.raises(ModelFileError, match="utf-8"):
        check_model(path, ())


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 40, b"PK\x03\x04 no model"])
def test_no_model(tmp_path, data):
    (tmp_path / "a.onnx").write_bytes(data)
    with pytest.raises(ModelFileError):
        check_model(tmp_path / "a.onnx", ())
    with pytest.raises(ModelFileError):
        check_model(tmp_path / "missing.onnx", ())
