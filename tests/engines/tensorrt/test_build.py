"""Building with TensorRT-RTX, which needs no GPU: what it takes, what it refuses, and what the user is told."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from meshwright.engines.cache.cache import EngineCache
from meshwright.engines.cache.key import model_hashes
from meshwright.engines.errors import BackendError, EngineError, ModelFileError, OutputError
from meshwright.engines.onnxruntime.weights import ModelWeights
from meshwright.engines.tensorrt import build as tensorrt_build
from meshwright.engines.tensorrt import worker as tensorrt_worker
from meshwright.engines.tensorrt.build import ELSEWHERE, build_to, workspace_limit
from meshwright.engines.tensorrt.builder import Phases, failed
from meshwright.engines.tensorrt.loader import EngineLoader
from meshwright.engines.tensorrt.network import Range
from tests.engines import models
from tests.engines.engines_on_disk import NO_GPU, Told, affine, machine
from tests.engines.platforms import TENSORRT_RTX

pytestmark = TENSORRT_RTX


def refused(order, tmp_path, kind):
    with pytest.raises(kind) as caught:
        build_to(order, tmp_path / "engine", [].append)
    assert not (tmp_path / "engine").exists()
    return str(caught.value)


def attention(path, half_width):
    """One head of odd width, in FP16: no fused kernel has that."""
    shape, half = [1, 1, 5, half_width], TensorProto.FLOAT16
    return models.save(path, [helper.make_node("Attention", ["q", "k", "v"], ["y"])],
                       [models.tensor(name, shape, half) for name in "qkv"], [models.tensor("y", shape, half)])


def byte_table(path):
    """Rows of an INT8 table, looked up and scaled, as the bundled text encoder keeps its tokens."""
    table = numpy_helper.from_array(np.arange(-128, 128, dtype=np.int8).reshape(64, 4), "table")
    scale = numpy_helper.from_array(np.float32(0.5), "scale")
    nodes = [helper.make_node("Gather", ["table", "ids"], ["rows"]), helper.make_node("Cast", ["rows"], ["wide"], to=models.FLOAT),
             helper.make_node("Mul", ["wide", "scale"], ["y"])]
    return models.save(path, nodes, [models.tensor("ids", [3], TensorProto.INT64)], [models.tensor("y", [3, 4])], [table, scale])


def test_an_engine_is_written_and_its_progress_told(tmp_path):
    shares = []
    build_to(affine(tmp_path), tmp_path / "engine", shares.append)
    assert (tmp_path / "engine").read_bytes()[:4] == b"vtrt"
    assert shares == sorted(shares) and 0 <= shares[0] < shares[-1] <= 1 and len(shares) > 5


def test_weights_beside_the_model_are_found(tmp_path):
    order = replace(affine(tmp_path), model=models.half_weights(tmp_path / "half.onnx", 64, 3), axes={"rows": Range(1, 4, 4)})
    build_to(order, tmp_path / "engine", [].append)
    assert (tmp_path / "engine").stat().st_size > 64 * 64 * 3 * 2  # the weights are in it


def test_other_weights_take_the_place_of_the_models_own(tmp_path):
    order = replace(affine(tmp_path), model=models.half_weights(tmp_path / "half.onnx", 64, 3), axes={"rows": Range(1, 4, 4)})
    files = {path: path.read_bytes() for path in tmp_path.glob("half.onnx*")}
    weights = {"w1.half": np.full((64, 64), 0.4375, np.float16)}
    build_to(order, tmp_path / "plain", [].append)
    build_to(replace(order, weights=weights), tmp_path / "engine", [].append)
    plain, engine = ((tmp_path / name).read_bytes() for name in ("plain", "engine"))
    held = weights["w1.half"].astype(np.float32).tobytes()  # the cast is calculated when the engine is built
    assert held in engine and held not in plain
    assert {path: path.read_bytes() for path in files} == files
    assert {path.name for path in tmp_path.iterdir()} == {"affine.onnx", *(path.name for path in files), "plain", "engine"}


def test_weights_in_8_bits_are_float32_in_the_engine_and_can_be_replaced(tmp_path):
    model = models.int8_weights(tmp_path / "int8.onnx", beside=True)
    order, stored = replace(affine(tmp_path), model=model, axes={}), ModelWeights(model).stored
    build_to(order, tmp_path / "plain", [].append)
    build_to(replace(order, weights={"matrix": np.full((96, 5), 0.4375, np.float32)}), tmp_path / "engine", [].append)
    plain, engine = ((tmp_path / name).read_bytes() for name in ("plain", "engine"))
    number = np.float32(0.4375).tobytes()  # TensorRT has an order of its own, and fills rows up
    assert engine.count(number) == 96 * 5 and plain.count(number) < 96
    for name in ("plain", "engine"):
        assert (tmp_path / name).stat().st_size > stored["conv"].nbytes
    assert {path.name for path in tmp_path.iterdir()} == {"affine.onnx", "int8.onnx", "int8.onnx.data", "plain", "engine"}


@pytest.mark.parametrize("make", [lambda path: attention(path, 8), byte_table], ids=["attention", "byte-table"])
def test_what_tensorrt_refuses_in_form_only_is_built(tmp_path, make):
    build_to(replace(affine(tmp_path), model=make(tmp_path / "model.onnx"), axes={}), tmp_path / "engine", [].append)
    assert (tmp_path / "engine").stat().st_size > 1000


def test_an_operator_that_it_cannot_take_is_named_with_the_reason(tmp_path):
    path = models.nonzero(tmp_path / "found.onnx")
    model = onnx.load(path)
    model.graph.node[0].name = "finder"
    onnx.save(model, path)
    said = refused(replace(affine(tmp_path), model=path, axes={"length": Range(1, 4, 4)}), tmp_path, BackendError)
    assert said.startswith("found.onnx cannot be built; received node finder (NonZero): ") and "plugin" in said
    assert said.endswith("this component runs on ONNX Runtime")


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "none.onnx").write_bytes(b"nothing of the kind" * 9)
    assert "none.onnx is not an ONNX model" in refused(replace(affine(tmp_path), model=tmp_path / "none.onnx"), tmp_path, ModelFileError)


def test_a_model_that_is_missing(tmp_path):
    assert "the model file is missing" in refused(replace(affine(tmp_path), model=tmp_path / "gone.onnx"), tmp_path, ModelFileError)


def test_an_open_axis_without_a_range_is_named(tmp_path):
    said = refused(replace(affine(tmp_path), axes={}), tmp_path, EngineError)
    assert said == "the open axis 'batch' of tensor 'x' has no range; received none; give one for it"


@pytest.mark.parametrize("lengths", [(0, 1, 2), (2, 1, 3), (1, 4, 3)])
def test_ranges_that_make_no_sense(lengths):
    with pytest.raises(EngineError, match="expected 1 <= low <= best <= high"):
        Range(*lengths)


def test_what_a_callback_raises_ends_the_build(tmp_path):
    def stop(share):
        raise Stop

    with pytest.raises(Stop):
        build_to(affine(tmp_path), tmp_path / "engine", stop)


def test_a_full_disk(tmp_path):
    (tmp_path / "in-the-way").mkdir()
    with pytest.raises(OutputError, match="make room, or set MESHWRIGHT_CACHE"):
        build_to(affine(tmp_path), tmp_path / "in-the-way", [].append)


class Stop(Exception):
    pass


def test_who_waits_may_end_a_build_that_says_nothing(tmp_path, monkeypatch):
    """The progress is told again and again, so that a caller can raise within half a second of a step that takes a minute."""
    monkeypatch.setattr(tensorrt_build, "_command", lambda: [sys.executable, "-c", "import time; time.sleep(60)"])
    told = []

    def stop(share):
        told.append(share)
        if len(told) == 3:
            raise Stop

    with pytest.raises(Stop):
        build_to(affine(tmp_path), tmp_path / "engine", stop)
    assert told == [0.0, 0.0, 0.0]


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a lock belongs to one process")
def test_the_process_that_builds_holds_the_lock_too(tmp_path):
    import fcntl

    held, other = (os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT) for _ in range(2))
    fcntl.flock(held, fcntl.LOCK_EX)

    def stop(share):
        os.close(held)  # as if this process had ended
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        raise Stop

    with pytest.raises(Stop):
        build_to(affine(tmp_path), tmp_path / "engine", stop, held)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)


def test_a_process_that_does_not_start_is_no_fault_of_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorrt_build, "_command", lambda: [str(tmp_path / "no-such-interpreter")])
    order = affine(tmp_path)
    with pytest.raises(BackendError) as caught:
        EngineLoader(EngineCache(tmp_path / "cache"), NO_GPU).load("p/affine", order, model_hashes(order.model), Told().teller)
    assert str(caught.value).startswith("affine.onnx cannot be built; received the process that builds it did not start: [Errno 2]")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows ends processes otherwise")
def test_a_process_that_the_system_ends_was_out_of_memory(tmp_path, monkeypatch):
    """The worker is ended as Linux ends the largest process when memory runs out."""
    started = subprocess.Popen

    def doomed(*arguments, **options):
        process = started(*arguments, **options)
        threading.Timer(0, os.kill, (process.pid, signal.SIGKILL)).start()
        return process

    monkeypatch.setattr(tensorrt_build.subprocess, "Popen", doomed)
    said = refused(affine(tmp_path), tmp_path, BackendError)
    assert said.startswith("there was not enough memory to build affine.onnx") and "--component; the cache is unchanged" in said


def test_a_process_that_gets_no_memory_says_so(tmp_path, monkeypatch, capfd):
    def full(*arguments):
        raise MemoryError

    request = {"parent": os.getppid(), "product": "tensorrt-rtx", "model": "big.onnx", "out": str(tmp_path / "engine"),
               "workspace": None, "flags": [], "capabilities": [], "axes": {}}
    for name in ("end_with_parent", "end_with_input"):  # of the process that runs the tests
        monkeypatch.setattr(tensorrt_worker, name, lambda *arguments: None)
    monkeypatch.setattr(tensorrt_worker, "build", full)
    monkeypatch.setattr(tensorrt_worker, "_private_output", lambda: sys.stdout)
    monkeypatch.setattr(tensorrt_worker.signal, "signal", lambda *arguments: None)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(request)))
    tensorrt_worker.main()
    error = tensorrt_build._received(json.loads(capfd.readouterr().out)["error"])
    assert type(error) is BackendError and "not enough memory to build big.onnx" in str(error)


def test_a_library_that_crashes_is_quoted(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorrt_build, "__package__", "no.such.package")
    assert "No module named" in refused(affine(tmp_path), tmp_path, BackendError)


def test_too_little_memory_names_the_remedy():
    said = str(failed("refiner_step.onnx", "Error Code 2: OutOfMemory (Requested size was 1118996596 bytes.)"))
    assert "not enough memory to build refiner_step.onnx" in said and "close other programs" in said


def test_a_vendors_error_that_is_known_is_explained():
    said = str(failed("a.onnx", "Cuda Runtime (cudaError 35: CUDA driver version is insufficient for CUDA runtime version)"))
    assert said.startswith("a.onnx cannot be built: there is no NVIDIA driver, or it is older than CUDA 13; received")


def test_the_workspace_is_limited_to_free_memory():
    assert workspace_limit(machine(free=10 << 30)) == (10 << 30) - (512 << 20)
    assert workspace_limit(machine(free=600 << 20)) == 300 << 20
    assert workspace_limit(machine(free=None)) is None
    assert workspace_limit(NO_GPU) == ELSEWHERE


def test_the_share_of_nested_phases_only_grows():
    phases, shares = Phases(), []
    phases.start("all", None, 4)
    phases.step("all", 0)
    shares.append(phases.share)
    phases.start("part", "all", 2)
    phases.step("part", 0)
    shares.append(phases.share)
    phases.start("again", "all", 10)  # a second phase in the same step begins where the first one did
    shares.append(phases.share)
    phases.finish("part")
    phases.step("unknown", 3)
    phases.finish("all")
    assert [*shares, phases.share] == [0.25, 0.375, 0.375, 1.0]


def test_the_worker_keeps_what_libraries_print_to_itself():
    """Standard output carries answers only, whatever a vendor prints there."""
    code = (f"import os; from meshwright.engines.tensorrt import worker as w; a = w._private_output(); os.write(1, b'noise');"
            f"w._say(a, done=True); assert w is not None and {tensorrt_worker.__name__!r}")
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr) == ('{"done": true}\n', "noise")
