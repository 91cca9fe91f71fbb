"""A model on a simulated GPU, and the same model on ONNX Runtime's CPU, which says what is right."""

from pathlib import Path

import numpy as np

from meshwright.engines import DeviceArray, open_engine
from meshwright.engines.cuda.memory import DeviceMemory
from meshwright.engines.loop import NORMAL
from meshwright.engines.onnxruntime.engine import OnnxRuntimeEngine
from meshwright.engines.tensorrt.engine import TensorRTEngine
from tests.engines.simulated_cuda import SimulatedCuda
from tests.engines.simulated_onnxruntime import SimulatedProvider
from tests.engines.simulated_tensorrt import SimulatedTensorRT, write_plan

PROPS = Path(__file__).parents[2] / "runtime" / "packs" / "props"
LAUNCHES = ("execute", "launch", "begin capture", "end capture", "rows")


class GpuBench:
    """cuda, memory : the simulated GPU and its pool; reference : the model on the CPU."""

    def __init__(self, model):
        self.model = model
        self.reference = OnnxRuntimeEngine(model, threads=1)
        self.cuda = SimulatedCuda()
        self.memory = DeviceMemory(self.cuda)

    def executed(self):
        """The addresses of each step that was asked for, by name."""
        return [call[1] for call in self.cuda.calls if call[0] == "execute"]

    def launches(self):
        """What was launched, copied for a launch, or captured, in order."""
        return [name for name in self.cuda.names() if name in LAUNCHES]

    def check_scan(self, engine, arguments, **options):
        """Scan on both; the same names, dtypes, shapes and numbers must come out."""
        expected, received = self.reference.scan(*arguments), engine.scan(*arguments, **options)
        assert list(received) == list(expected)
        for name, value in expected.items():
            host = received[name].numpy() if isinstance(received[name], DeviceArray) else received[name]
            assert host.dtype == value.dtype and host.shape == value.shape
            np.testing.assert_allclose(host, value, rtol=1e-6, atol=1e-6)

    def check_scan_of_device_arrays(self, engine, arguments):
        """The same with arguments on the GPU, none of which may be written to."""
        placed = [{name: self.memory.upload(value) for name, value in each.items()} for each in arguments]
        expected, received = self.reference.scan(*arguments), engine.scan(*placed)
        for name, value in expected.items():
            np.testing.assert_allclose(received[name], value, rtol=1e-6, atol=1e-6)
        for own, there in zip(arguments, placed, strict=True):
            for name, value in own.items():
                np.testing.assert_array_equal(there[name].numpy(), value)


class OnnxRuntimeBench(GpuBench):
    """provider : the simulated one, which `open` finds."""

    def __init__(self, model, monkeypatch):
        super().__init__(model)
        self.vendor = self.provider = SimulatedProvider()
        monkeypatch.setattr("meshwright.engines.onnxruntime.engine._open", self.provider.open)

    def open(self, loop=NORMAL):
        return open_engine(self.model, providers=("CUDAExecutionProvider", "CPUExecutionProvider"), memory=self.memory, loop=loop)


class TensorRTBench(GpuBench):
    """trt : the simulated product, whose engine of the model lies at `plan`."""

    def __init__(self, model, plan, axes):
        super().__init__(model)
        self.plan = write_plan(model, path=plan, **axes)
        self.vendor = self.trt = SimulatedTensorRT(self.cuda)

    def open(self, loop=NORMAL):
        return TensorRTEngine(self.plan, self.model, self.trt.product, self.memory, loop=loop)


def random_inputs(spec, **axes):
    """Small numbers for every input of a model; axes : lengths of the open ones."""
    rng = np.random.default_rng(0)
    return {tensor.name: (0.1 * rng.standard_normal(tensor.resolve(axes))).astype(tensor.dtype) for tensor in spec.inputs}
