"""ONNX Runtime: CPU, CUDA, DirectML and whatever other providers the user's build offers."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np

from ..cuda.remedies import explain, unavailable
from ..engine import NEXT, Array, Engine, OnStep, Tensors, on_host
from ..errors import BackendError, BackendUnavailable, EngineError, ModelFileError
from ..loop_buffers import ALIGNMENT
from ..spec import Axes, EngineSpec, TensorSpec
from .package import import_onnxruntime
from .weights import ModelWeights

Provider = str | tuple[str, Mapping[str, object]]

DTYPES = {
    "tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64", "tensor(bool)": "bool",
    "tensor(int8)": "int8", "tensor(int16)": "int16", "tensor(int32)": "int32", "tensor(int64)": "int64",
    "tensor(uint8)": "uint8", "tensor(uint16)": "uint16", "tensor(uint32)": "uint32", "tensor(uint64)": "uint64",
}
CUDA = "CUDAExecutionProvider"
NO_WEIGHTS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Plan:
    """What ONNX Runtime may do to a graph before it runs.

    level : of its graph optimisations; copy_weights : in the order that a kernel reads fastest;
    fold_constants : calculate once what does not depend on the inputs, a weight's cast from FP16 to FP32 included
    """

    level: str
    copy_weights: bool
    fold_constants: bool


FASTEST = Plan("ORT_ENABLE_ALL", copy_weights=True, fold_constants=True)
# The last level rearranges the weights of convolutions, which would copy them.
MAPPED = Plan("ORT_ENABLE_EXTENDED", copy_weights=False, fold_constants=False)
UNCHANGED = Plan("ORT_DISABLE_ALL", copy_weights=False, fold_constants=False)


class OnnxRuntimeEngine(Engine):
    """One .onnx file in one session."""

    def __init__(self, path: str | Path, *, providers: Sequence[Provider] = ("CPUExecutionProvider",),
                 threads: int | None = None, map_weights: bool = False, keep_scratch: bool = False,
                 weights: Mapping[str, np.ndarray] | None = None) -> None:
        """providers : in order of preference, names or (name, options); threads : of one operator, None for all cores.

        map_weights, keep_scratch, weights : see `open_engine`. Raises ModelFileError, BackendUnavailable or BackendError.
        """
        # The session reads those that replace weights beside the model where they lie.
        self._weights = {name: np.ascontiguousarray(value) for name, value in (weights or {}).items()}
        self._session = _open(Path(path), providers, threads, MAPPED if map_weights else FASTEST, self._weights)
        self.spec = _read_spec(self._session, Path(path))
        self._last_run = run_options({} if keep_scratch else {"memory.enable_memory_arena_shrinkage": "cpu:0"})

    def _run(self, inputs: Tensors, axes: Axes, keep: frozenset[str]) -> dict[str, Array]:
        with _vendor_errors("the model did not run"):
            binding = self._session.io_binding()
            for name, value in inputs.items():  # read where they lie; a provider with memory of its own copies them
                binding.bind_input(name, "cpu", 0, value.dtype, value.shape, on_host(value).ctypes.data)
            ready = {tensor.name: self._bind_output(binding, tensor, axes) for tensor in self.spec.outputs}
            self._session.run_with_iobinding(binding, self._last_run)
            made = dict(zip(ready, binding.get_outputs(), strict=True))
            return {name: made[name].numpy() if array is None else array for name, array in ready.items()}

    def _scan(self, carry: Tensors, per_step: Tensors, constants: Tensors, axes: Axes, steps: int,
              on_step: OnStep, keep: bool) -> dict[str, Array]:
        with _vendor_errors("the scan did not start"):
            loop = _Loop(self, carry, per_step, constants)
        for i in range(steps):
            with _vendor_errors(f"step {i + 1} of {steps} did not run"):
                loop.step(i, self._last_run if i == steps - 1 else None)
            on_step(i + 1, steps)
        with _vendor_errors("the scan's result could not be read"):
            return loop.carry(steps)

    def _close(self) -> None:
        self._session, self._weights = None, {}

    def _bind_output(self, binding: Any, tensor: TensorSpec, axes: Axes) -> np.ndarray | None:
        """An array that the session writes into, or None where only the session knows the shape."""
        shape = tensor.resolve(axes)
        if shape is None:
            binding.bind_output(tensor.name, "cpu")
            return None
        array = np.empty(shape, tensor.dtype)
        binding.bind_output(tensor.name, "cpu", 0, array.dtype, shape, array.ctypes.data)
        return array


class _Loop:
    """Two bindings over two sets of carry buffers in host memory: step i reads set i % 2 and writes the other.

    Every buffer is made once and keeps its address; a step only binds its own slices. For a provider with memory of its own, ONNX Runtime
    copies at each step; CUDA's has a loop of its own (`gpu`).
    """

    def __init__(self, engine: OnnxRuntimeEngine, carry: Tensors, per_step: Tensors, constants: Tensors) -> None:
        self._session = engine._session
        self._carries = [{name: np.array(on_host(value), order="C") for name, value in carry.items()} for _ in range(2)]
        self._constants = {name: np.array(on_host(value), order="C") for name, value in constants.items()}
        self._slices = {name: _Slices(on_host(value)) for name, value in per_step.items()}
        self._bindings = [self._bind(self._session.io_binding(), parity) for parity in range(2)]

    def _bind(self, binding: Any, parity: int) -> Any:
        for name, array in {**self._constants, **self._carries[parity]}.items():
            binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        for name, array in self._carries[1 - parity].items():
            binding.bind_output(name + NEXT, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        return binding

    def step(self, i: int, run_options: Any) -> None:
        binding = self._bindings[i % 2]
        for name, slices in self._slices.items():
            binding.bind_input(name, "cpu", 0, slices.dtype, slices.shape, slices.address(i))
        self._session.run_with_iobinding(binding, run_options)

    def carry(self, steps: int) -> dict[str, Array]:
        return dict(self._carries[steps % 2])


class _Slices:
    """The slices of a per-step array in one buffer, each at an aligned offset."""

    def __init__(self, value: np.ndarray) -> None:
        self.shape, self.dtype = value.shape[1:], value.dtype
        size = value[0].nbytes
        self._stride = -(-size // ALIGNMENT) * ALIGNMENT
        self._padded = np.zeros((len(value), self._stride), np.uint8)
        self._padded[:, :size] = value.reshape(len(value), -1).view(np.uint8)

    def address(self, i: int) -> int:
        return self._padded.ctypes.data + i * self._stride


def read_spec(path: str | Path) -> EngineSpec:
    """The spec of a model file, without preparing it to run. Raises as OnnxRuntimeEngine does."""
    session = _open(Path(path), ("CPUExecutionProvider",), 1, UNCHANGED)
    return _read_spec(session, Path(path))


def _open(path: Path, providers: Sequence[Provider], threads: int | None, plan: Plan,
          weights: Mapping[str, np.ndarray] = NO_WEIGHTS) -> Any:
    ort = import_onnxruntime()
    names = [_name(provider) for provider in providers]
    _check_available(names, ort.get_available_providers())
    if not path.is_file():
        raise ModelFileError("the model file is missing", received=str(path))
    if threads is not None and threads < 1:
        raise EngineError("threads", received=str(threads), expected="an integer from 1, or None for all cores")
    if CUDA in names:
        _find_libraries(ort)
    replaced = ModelWeights(path) if weights else None
    source = replaced.graph(weights) if replaced else str(path)
    try:
        with _vendor_errors(f"{path.name} did not load"):
            options = _session_options(ort, threads, plan)
            if replaced:
                _replace_beside(ort, options, path, replaced.beside(weights))
            session = ort.InferenceSession(source, options, providers=list(providers),
                                           disabled_optimizers=[] if plan.fold_constants else ["ConstantFolding"],
                                           enable_fallback=0)  # it would print, and go on with other providers
    except BackendError as error:
        if names[0] == "CPUExecutionProvider" or explain(error) is None and "Unknown Provider" not in str(error):
            raise
        raise unavailable(f"the provider {names[0]} did not start on this machine", error.received or str(error)) from error
    lost = [name for name in names if name not in session.get_providers()]
    if lost:  # ONNX Runtime goes on without a provider whose libraries it cannot load
        raise BackendUnavailable(f"the provider {lost[0]} did not start on this machine",
                                 received=", ".join(session.get_providers()), expected=", ".join(names))
    return session


@cache
def _find_libraries(ort: ModuleType) -> None:
    """Load CUDA's libraries from the packages that pip installs them with, where the system does not look for them."""
    with redirect_stdout(io.StringIO()), suppress(Exception):  # what is missing is told of by the provider that does not start
        ort.preload_dlls()


def _replace_beside(ort: ModuleType, options: Any, path: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Give the session other weights than those beside the model, whose graph comes from memory.

    Not by `add_initializer`: it is read after the graph's constants have been folded, and changes nothing then.
    """
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent))
    if weights:
        options.add_external_initializers(list(weights), [ort.OrtValue.ortvalue_from_numpy(value) for value in weights.values()])


def _session_options(ort: ModuleType, threads: int | None, plan: Plan) -> Any:
    options = ort.SessionOptions()
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, plan.level)
    options.add_session_config_entry("session.disable_prepacking", "0" if plan.copy_weights else "1")
    # Weights in 8 bits are dequantised once, with the other constants, and calculated with as they are then: nothing is fused.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    # Blocks planned by pattern stay beside the arena for as long as the session lives, and save no time. The arena
    # does save some, a tenth of a step of a small UNet, and gives its memory back when a run or a scan ends.
    options.enable_mem_pattern = False
    # What fails is raised: nothing is to be printed by a library as well.
    options.log_severity_level = 4
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def run_options(entries: Mapping[str, str]) -> Any:
    """ONNX Runtime's options of one run, by the names that it documents."""
    options = import_onnxruntime().RunOptions()
    for name, value in entries.items():
        options.add_run_config_entry(name, value)
    return options


def _check_available(names: Sequence[str], available: Sequence[str]) -> None:
    if not names:
        raise BackendUnavailable("no provider was requested", expected=", ".join(available))
    for name in names:
        if name not in available:
            raise BackendUnavailable(f"this build of ONNX Runtime lacks the provider {name}",
                                     expected=" or ".join(available), remedy=_remedy(name))


def _remedy(provider: str) -> str:
    extra = "'meshwright[gpu]'" if provider in ("CUDAExecutionProvider", "TensorrtExecutionProvider") else None
    package = {"DmlExecutionProvider": "onnxruntime-directml"}.get(provider, extra)
    return f"pip install {package}" if package else "install a build of ONNX Runtime that has it"


def _name(provider: Provider) -> str:
    return provider if isinstance(provider, str) else provider[0]


def split_provider(provider: Provider) -> tuple[str, Mapping[str, object]]:
    """Its name and its options."""
    return (provider, {}) if isinstance(provider, str) else (provider[0], provider[1])


def _read_spec(session: Any, path: Path) -> EngineSpec:
    try:
        return EngineSpec(tuple(_tensor(arg, path) for arg in session.get_inputs()),
                          tuple(_tensor(arg, path) for arg in session.get_outputs()))
    except UnicodeDecodeError as error:  # ONNX Runtime decodes a name when it is asked for
        raise ModelFileError(f"a tensor or an axis of {path.name} has a name that is not UTF-8", received=repr(error.object)) from error


def _tensor(arg: Any, path: Path) -> TensorSpec:
    if arg.type not in DTYPES:
        raise ModelFileError(f"tensor {arg.name!r} of {path.name} has a type that is not supported", received=arg.type,
                             expected=", ".join(DTYPES.values()))
    # An axis that the model does not name may have any length: it gets a name of its own.
    shape = tuple(axis if axis is not None else f"{arg.name}_{i}" for i, axis in enumerate(arg.shape))
    return TensorSpec(arg.name, DTYPES[arg.type], shape)


@contextmanager
def _vendor_errors(subject: str) -> Iterator[None]:
    """Turn what ONNX Runtime raises into our errors: a file that is no model, or anything else."""
    state = import_onnxruntime().capi.onnxruntime_pybind11_state
    try:
        yield
    except (state.InvalidProtobuf, state.InvalidGraph, state.NoModel, state.NoSuchFile) as error:
        raise ModelFileError(subject, received=str(error)) from error
    except Exception as error:  # ONNX Runtime's other errors share no base class
        raise BackendError(subject, received=str(error)) from error
