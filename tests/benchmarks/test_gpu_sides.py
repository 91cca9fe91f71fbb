"""The sides of the GPU benchmark on a simulated GPU: which way a loop is launched, what stays on the device, and what is timed."""

import pytest

from benchmarks import gpu_peaks, gpu_sides, gpu_worker
from benchmarks.gpu_sides import Task, one_way
from benchmarks.gpu_worker import Worker, answer
from meshwright.engines.cuda.memory import DeviceMemory
from meshwright.engines.tensorrt.engine import TensorRTEngine
from meshwright.runtime.pack.pack import Pack
from tests.engines import simulated_onnxruntime
from tests.engines.platforms import TENSORRT_RTX
from tests.engines.simulated_cuda import SimulatedCuda
from tests.engines.simulated_tensorrt import SimulatedTensorRT, write_plan
from tests.runtime.tiny_pack import build

pytestmark = TENSORRT_RTX
STEPS = 4


@pytest.fixture
def pack(tmp_path):
    return Pack.open(build(tmp_path / "tiny"))


@pytest.fixture
def tensorrt(pack, tmp_path):
    """A function from whether a loop is one graph to a worker on simulated TensorRT, and its GPU."""
    def worker(graph, **options):
        cuda = SimulatedCuda()
        memory, trt = DeviceMemory(cuda), SimulatedTensorRT(cuda, **options)

        def make(kind):
            model = pack.path(pack.component(kind).file)
            axes = {axis: (1, 4, 1 << 16) for tensor in pack.component(kind).spec.inputs for axis in tensor.shape if isinstance(axis, str)}
            plan = write_plan(model, path=tmp_path / f"{kind}.engine", **axes)
            return TensorRTEngine(plan, model, trt.product, memory, loop=one_way(graph))

        return Worker(Task("trt-graph" if graph else "trt", str(pack.folder)), gpu_sides._on_device(memory, make)), cuda
    return worker


def launches(cuda):
    """How many graphs and how many single evaluations since the last look."""
    found = cuda.names()
    cuda.calls.clear()
    return found.count("launch"), found.count("execute")


@pytest.mark.parametrize("graph", [True, False])
def test_tensorrts_loop_is_launched_one_way_only(tensorrt, graph):
    worker, cuda = tensorrt(graph)
    request = {"kind": "refiner_step", "steps": STEPS, "repeat": 1}
    assert worker.loop(**request)["events"] is True
    launches(cuda)
    assert len(worker.loop(**request)["ms"]) == 1
    graphs, single = launches(cuda)
    assert graphs == (1 if graph else 0) and (graph or single == STEPS)


def test_a_loop_that_cannot_be_captured_is_no_figure_of_a_graph(tensorrt):
    worker, _ = tensorrt(True, capturable=False)
    found = answer(worker, {"do": "loop", "kind": "refiner_step", "steps": STEPS, "repeat": 1})
    assert found["failed"].startswith("BackendError: the loop ran without a graph")
    plain, _ = tensorrt(False, capturable=False)
    assert "ms" in answer(plain, {"do": "loop", "kind": "refiner_step", "steps": STEPS, "repeat": 1})


def test_a_steps_inputs_are_uploaded_once(tensorrt):
    worker, cuda = tensorrt(False)
    worker.step("refiner_step", 1)
    cuda.calls.clear()
    assert len(worker.step("refiner_step", 5)["ms"]) == 5
    assert not {"upload", "download", "allocate"} & set(cuda.names()) and cuda.names().count("execute") == 5


def test_golden_tensors_and_a_whole_run(tensorrt, pack):
    worker, _ = tensorrt(True)
    assert all(worker.check(component.kind, None)["passed"] for component in pack.manifest.components.values())
    made = worker.run({"prompt": "a red chair", "steps": 2, "prior_steps": 2, "texture": 64, "faces": 500})
    assert made["ms"][0] > 0 and made["stages"]["refined views"] > 0 and made["device_bytes"] > 0


def test_the_rate_of_copies_counts_what_is_read_and_what_is_written(monkeypatch):
    monkeypatch.setattr(gpu_peaks, "COPIED", 1 << 20)
    cuda = SimulatedCuda()
    monkeypatch.setattr("meshwright.engines.cuda.device.Cuda", lambda: cuda)
    monkeypatch.setattr(SimulatedCuda, "milliseconds", lambda self, first, last: 0.5)
    found = gpu_peaks.peaks()
    assert found["copy_bytes"] == 2 * (1 << 20) / 0.5e-3 and found["matrix_flops"] is None and "sees no GPU" in found["why_not"]
    assert cuda.names().count("copy") == gpu_peaks.WARM_UP + gpu_peaks.ROUNDS and cuda.names().count("free") == 2


@pytest.mark.parametrize("graph", [True, False])
def test_onnx_runtimes_steps_are_launched_one_way_only(pack, monkeypatch, graph):
    cuda = SimulatedCuda()
    provider = simulated_onnxruntime.SimulatedProvider()
    monkeypatch.setattr("meshwright.engines.onnxruntime.engine._open", provider.open)
    monkeypatch.setattr(gpu_sides, "_memory", lambda: DeviceMemory(cuda))
    worker = gpu_worker.Worker(Task("ort-graph" if graph else "ort", str(pack.folder)))
    request = {"kind": "refiner_step", "steps": STEPS, "repeat": 1}
    worker.loop(**request)
    launches(cuda)
    worker.loop(**request)
    assert launches(cuda) == ((1, 0) if graph else (0, STEPS))
