"""Stands in for the module of TensorRT-RTX where there is no GPU to run its engines on.

Its enumerations are the real ones. A plan names an ONNX file, which a context evaluates with ONNX Runtime on the CPU, on the
addresses it was given, in a `SimulatedCuda`. `test_tensorrt_bindings` compares these methods with those of the real module.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from meshwright.engines.machine.products import Product
from meshwright.engines.onnxruntime import engine as real
from meshwright.engines.onnxruntime.engine import read_spec
from meshwright.engines.onnxruntime.weights import ModelWeights
from meshwright.engines.tensorrt.plan import DTYPES
from tests.engines.platforms import TENSORRT_RTX
from tests.engines.simulated_cuda import ALIGNMENT, BY_STREAM

if TENSORRT_RTX.args[0]:
    pytest.skip(TENSORRT_RTX.kwargs["reason"], allow_module_level=True)
import tensorrt_rtx  # noqa: E402

MAGIC = b"a simulated plan of "
ERROR = tensorrt_rtx.ILogger.Severity.ERROR


def write_plan(model: Path, *, path: Path | None = None, capabilities: tuple[str, ...] = (), **axes) -> Path:
    """A plan of an ONNX file. axes : (least, best, largest) length of its open axes. capabilities : that it is built for"""
    path = path or model.with_suffix(".engine")
    ranges = ";".join(f"{axis}={','.join(map(str, lengths))}" for axis, lengths in axes.items())
    path.write_bytes(MAGIC + f"{model}|{ranges}|{' '.join(capabilities)}".encode())
    return path


class SimulatedTensorRT:
    """The module. scratch : bytes that a launch needs; capturable : what a context says; refuses : methods that fail.

    capability : of the card; invalid : bits of the diagnostics that every engine gets
    slip : added to results of captured launches, as by a graph that went wrong
    refittable : whether engines can have other weights; refit_slip : what is wrong with them then; refitted : names of weights
        that were replaced, for each time; fixed : of those that cannot be; missing : of those that have to be as well
    """

    for _name in ("ILogger", "TensorIOMode", "TensorLocation", "ExecutionContextAllocationStrategy", "CudaGraphStrategy", "EngineStat",
                  "DynamicShapesKernelSpecializationStrategy", "DataType", "IRuntimeCache", "Weights", "EngineValidity",
                  "EngineInvalidityDiagnostics"):
        locals()[_name] = getattr(tensorrt_rtx, _name)
    del _name

    def __init__(self, cuda, *, scratch=1000, capturable=True):
        self.cuda, self.scratch, self.capturable = cuda, scratch, capturable
        self.refuses, self.slip, self.contexts = set(), 0.0, []
        self.capability, self.invalid = "8.9", 0
        self.refittable, self.refit_slip, self.refitted, self.fixed, self.missing = False, 0.0, [], set(), []

    def Refitter(self, engine, logger):  # noqa: N802 (the vendor's name)
        return SimulatedRefitter(engine, logger)

    def Runtime(self, logger):  # noqa: N802 (the vendor's name)
        return SimulatedRuntime(self, logger)

    @property
    def product(self) -> Product:
        """With this module in the real one's place."""
        module = self

        class SimulatedProduct(Product):
            def load(self):
                return module

        return SimulatedProduct("tensorrt-rtx", "tensorrt_rtx", ("tensorrt-rtx-cu13",), "", is_portable=True)


class SimulatedRuntime:
    def __init__(self, module, logger):
        self._module, self._logger = module, logger

    def get_engine_validity(self, buffer):
        kinds, reasons = tensorrt_rtx.EngineValidity, tensorrt_rtx.EngineInvalidityDiagnostics
        content, found = bytes(memoryview(buffer)), self._module.invalid
        if not content.startswith(MAGIC):
            return kinds.INVALID, found | int(reasons.MALFORMED_ENGINE)
        capabilities = content.decode().rpartition("|")[2].split()
        fits = self._module.capability in capabilities if capabilities else float(self._module.capability) >= 8
        found |= 0 if fits else int(reasons.UNSUPPORTED_CC)
        return kinds.INVALID if found else kinds.VALID, found

    def deserialize_cuda_engine(self, serialized_engine):
        content = bytes(memoryview(serialized_engine))
        if not content.startswith(MAGIC):
            self._logger.log(ERROR, "Error Code 1: Serialization (magic tag does not match)")
            return None
        assert self.get_engine_validity(serialized_engine)[0] == tensorrt_rtx.EngineValidity.VALID
        model, ranges, _ = content[len(MAGIC):].decode().split("|")
        split = (each.split("=") for each in ranges.split(";") if each)
        return SimulatedEngine(self._module, self._logger, Path(model), {name: tuple(map(int, part.split(","))) for name, part in split})


class SimulatedConfig:
    def __init__(self, module):
        self._module, self.strategy, self.cache = module, None, None
        self.dynamic_shapes_kernel_specialization_strategy = self.cuda_graph_strategy = None

    def set_execution_context_allocation_strategy(self, strategy):
        self.strategy = strategy

    def create_runtime_cache(self):
        return SimulatedCache()

    def set_runtime_cache(self, cache):
        self.cache = cache
        return True


class SimulatedCache:
    content = b""

    def deserialize(self, blob):
        self.content = bytes(blob)
        return True

    def serialize(self):
        return memoryview(self.content or b"kernels")


class SimulatedEngine:
    def __init__(self, module, logger, model, ranges):
        self.module, self.logger, self.ranges = module, logger, ranges
        self.model, self.refittable, self.slip = model, module.refittable, 0.0
        self.spec = read_spec(model)
        self.session = real._open(model, ("CPUExecutionProvider",), None, real.FASTEST)
        self.tensors = {tensor.name: tensor for tensor in (*self.spec.inputs, *self.spec.outputs)}
        self.num_io_tensors, self.device_memory_size_v2 = len(self.tensors), module.scratch

    def get_tensor_name(self, index):
        return list(self.tensors)[index]

    def get_tensor_shape(self, name):
        return tuple(-1 if isinstance(axis, str) else axis for axis in self.tensors[name].shape)

    def get_tensor_dtype(self, name):
        return getattr(tensorrt_rtx.DataType, DTYPES[self.tensors[name].dtype])

    def get_tensor_mode(self, name):
        modes = tensorrt_rtx.TensorIOMode
        return modes.INPUT if self.spec.input(name) else modes.OUTPUT

    def get_tensor_location(self, name):
        return tensorrt_rtx.TensorLocation.DEVICE

    def get_tensor_profile_shape(self, name, profile_index):
        assert profile_index == 0
        return [tuple(self.ranges[axis][i] if isinstance(axis, str) else axis for axis in self.tensors[name].shape) for i in range(3)]

    def get_engine_stat(self, stat):
        assert stat == tensorrt_rtx.EngineStat.TOTAL_WEIGHTS_SIZE
        return 5000

    def create_runtime_config(self):
        return SimulatedConfig(self.module)

    def create_execution_context(self, runtime_config):
        assert runtime_config.strategy == tensorrt_rtx.ExecutionContextAllocationStrategy.USER_MANAGED
        context = SimulatedContext(self, runtime_config)
        self.module.contexts.append(context)
        return None if "create_execution_context" in self.module.refuses else context


class SimulatedContext:
    def __init__(self, engine, config):
        self.engine, self.module, self.config = engine, engine.module, config
        self.shapes, self.addresses, self.scratch = {}, {}, None

    def set_input_shape(self, name, shape):
        bounds = zip(*self.engine.get_tensor_profile_shape(name, 0)[::2], shape, strict=True)
        fits = all(low <= length <= high for low, high, length in bounds)
        if fits:
            self.shapes[name] = tuple(shape)
        return fits

    def update_device_memory_size_for_shapes(self):
        return self.module.scratch

    def get_tensor_shape(self, name):
        axes = {axis: length for tensor in self.engine.spec.inputs if tensor.name in self.shapes
                for axis, length in zip(tensor.shape, self.shapes[tensor.name], strict=True) if isinstance(axis, str)}
        return tuple(axes.get(axis, -1) if isinstance(axis, str) else axis for axis in self.engine.tensors[name].shape)

    def set_device_memory(self, memory, size):
        assert memory % ALIGNMENT == 0 and size >= self.module.scratch
        self.scratch = memory, size

    def set_tensor_address(self, name, memory):
        assert memory % ALIGNMENT == 0 and name in self.engine.tensors
        self.addresses[name] = memory
        return "set_tensor_address" not in self.module.refuses

    def is_stream_capturable(self, stream):
        BY_STREAM[stream].call("is_stream_capturable")
        assert BY_STREAM[stream].recording is None
        return self.module.capturable

    def execute_async_v3(self, stream_handle):
        cuda = self.cuda = BY_STREAM[stream_handle]
        assert set(self.addresses) == set(self.engine.tensors) and self.scratch is not None
        cuda.call("execute", dict(self.addresses))
        if "execute_async_v3" in self.module.refuses:
            self.engine.logger.log(ERROR, "Cuda Runtime (an illegal memory access was encountered)")
            return False
        addresses, scratch, slip = dict(self.addresses), self.scratch, self.module.slip if cuda.recording is not None else 0.0
        cuda.do(lambda: self._evaluate(addresses, scratch, slip), cuda.step_ms)
        return True

    def _evaluate(self, addresses, scratch, slip):
        spec = self.engine.spec
        inputs = {tensor.name: self._array(tensor, addresses[tensor.name]) for tensor in spec.inputs}
        self.cuda.view(*scratch)[:] = 0xAB  # whatever somebody else kept there is gone
        made = self.engine.session.run(None, {name: array.copy() for name, array in inputs.items()})
        for tensor, value in zip(spec.outputs, made, strict=True):
            self._array(tensor, addresses[tensor.name])[...] = value + np.asarray(slip + self.engine.slip).astype(value.dtype)

    def _array(self, tensor, address):
        shape = self.get_tensor_shape(tensor.name)
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(tensor.dtype).itemsize
        return self.cuda.view(address, size).view(tensor.dtype).reshape(shape)


class SimulatedRefitter:
    def __init__(self, engine, logger):
        self._engine, self._logger, self._weights = engine, logger, {}

    def get_all_weights(self):
        return [name for name in ModelWeights(self._engine.model).stored if name not in self._engine.module.fixed]

    def set_named_weights(self, name, weights):
        shape = ModelWeights(self._engine.model).stored[name].shape
        self._weights[name] = weights.numpy().reshape(shape).copy()  # which the real class has flattened
        return self._takes("set_named_weights")

    def get_missing_weights(self):
        return self._engine.module.missing

    def refit_cuda_engine(self):
        module = self._engine.module
        module.cuda.call("refit")
        assert module.cuda.names().count("close graph") == module.cuda.names().count("end capture")
        module.refitted.append(set(self._weights))
        self._engine.slip = module.refit_slip
        with tempfile.TemporaryDirectory() as folder:
            copy = ModelWeights(self._engine.model).write(self._weights, Path(folder))
            self._engine.session = real._open(copy, ("CPUExecutionProvider",), None, real.FASTEST)
        return self._takes("refit_cuda_engine")

    def _takes(self, method):
        if method in self._engine.module.refuses:
            self._logger.log(ERROR, f"{method} refuses")
        return method not in self._engine.module.refuses
