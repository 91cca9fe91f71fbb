"""Stands in for a session of ONNX Runtime's CUDA provider where there is no GPU: the CPU computes on addresses of a `SimulatedCuda`.

As the provider does, it keeps graphs by number and by thread, captures at the first run with a number, which the model is run
for before, and replays on the addresses of the capture whatever is bound then.
"""

from __future__ import annotations

import threading

import numpy as np

from meshwright.engines.onnxruntime.engine import DTYPES
from meshwright.engines.onnxruntime.package import import_onnxruntime
from tests.engines.simulated_cuda import STREAM

onnxruntime = import_onnxruntime()


class SimulatedProvider:
    """Makes sessions. no_graph : whether one that should capture does not open; fails : whether captures fail

    slip : added by replays, as by a graph that went wrong; opened : options of each session; runs : (graph, waits) of each run
    """

    def __init__(self, cuda):
        self.cuda, self.opened, self.runs = cuda, [], []
        self.no_graph, self.fails, self.slip, self.step_ms, self.graph_ms = False, False, 0.0, 1.0, 0.25

    def open(self, path, providers, threads, plan, weights):
        (name, options), *_ = providers
        assert name == "CUDAExecutionProvider" and options["user_compute_stream"] == str(STREAM) and options["device_id"] == "0"
        self.opened.append(options)
        if self.no_graph and "enable_cuda_graph" in options:
            from meshwright.engines.errors import BackendUnavailable

            raise BackendUnavailable("a node lies on the CPU")
        return SimulatedSession(self, str(path), "enable_cuda_graph" in options)


class SimulatedSession:
    def __init__(self, provider, path, captures):
        self._provider, self._captures = provider, captures
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self._graphs = {}
        self.released = []

    def get_inputs(self):
        return self._session.get_inputs()

    def get_outputs(self):
        return self._session.get_outputs()

    def io_binding(self):
        return SimulatedBinding(self)

    def release_captured_graph(self, graph):
        self.released.append(graph)

    def run_with_iobinding(self, binding, options):
        cuda, graph = self._provider.cuda, int(_entry(options, "gpu_graph_id") or 0)
        waits = _entry(options, "disable_synchronize_execution_providers") != "1"
        self._provider.runs.append((graph, waits))
        cuda.call("run")
        if not self._captures:
            assert _entry(options, "gpu_graph_id") is None
            return cuda.do(binding.evaluate, self._provider.step_ms)
        if graph == -1:
            return cuda.do(binding.evaluate, self._provider.step_ms)
        key = graph, threading.get_ident()
        if key not in self._graphs:
            if self._provider.fails:
                raise RuntimeError("capturing failed")
            binding.evaluate()
            self._graphs[key] = binding.copy()
        cuda.do(lambda: self._graphs[key].evaluate(self._provider.slip), self._provider.graph_ms)


class SimulatedBinding:
    def __init__(self, session):
        self.session, self.inputs, self.outputs, self.made = session, {}, {}, {}

    def copy(self):
        copy = SimulatedBinding(self.session)
        copy.inputs, copy.outputs = dict(self.inputs), dict(self.outputs)
        return copy

    def bind_input(self, name, device_type, device_id, element_type, shape, buffer_ptr):
        assert (device_type, device_id) == ("cuda", 0)
        self.inputs[name] = buffer_ptr, np.dtype(element_type), tuple(shape)

    def bind_output(self, name, device_type="cpu", device_id=0, element_type=None, shape=None, buffer_ptr=None):
        assert device_type == ("cuda" if buffer_ptr else "cpu")
        self.outputs[name] = buffer_ptr and (buffer_ptr, np.dtype(element_type), tuple(shape))

    def get_outputs(self):
        return [onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(self.made[name])) for name in self.outputs]

    def evaluate(self, slip=0.0):
        session = self.session._session
        kinds = {arg.name: DTYPES[arg.type] for arg in session.get_inputs()}
        feeds = {name: self._array(*place) for name, place in self.inputs.items()}
        assert set(feeds) == set(kinds) and all(feeds[name].dtype == kind for name, kind in kinds.items())
        self.made = dict(zip(self.outputs, session.run(list(self.outputs), feeds), strict=True))
        for name, place in self.outputs.items():
            if place is not None:
                self._view(*place)[...] = self.made[name] + np.asarray(slip).astype(self.made[name].dtype)

    def _view(self, address, dtype, shape):
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        return self.session._provider.cuda.view(address, size).view(dtype).reshape(shape)

    def _array(self, *place):
        return self._view(*place).copy()


def _entry(options, name):
    try:
        return options.get_run_config_entry(name)
    except RuntimeError:  # of one that was not given
        return None
