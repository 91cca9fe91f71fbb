"""Stands in for a session of ONNX Runtime's CUDA provider where there is no GPU: the CPU computes on addresses of a `SimulatedCuda`.

Within a capture a run is recorded as the provider would record it: only by a session that was opened with `enable_cuda_graph`, because
others hand callbacks that free memory to the stream, and only with the number that keeps it from capturing by itself.
"""

from __future__ import annotations

import numpy as np

from meshwright.engines.onnxruntime import engine as real
from meshwright.engines.onnxruntime.engine import DTYPES
from meshwright.engines.onnxruntime.package import import_onnxruntime
from tests.engines.simulated_cuda import BY_STREAM

onnxruntime = import_onnxruntime()


class SimulatedProvider:
    """Makes sessions in the place of `engine._open`, which makes those of other providers.

    no_graph : whether one that should capture does not open; fails : whether runs fail within a capture

    slip : added within a capture, as by a graph that went wrong; opened : options of each session; waits : whether each run waited
    """

    def __init__(self):
        self.opened, self.waits, self.real_open = [], [], real._open
        self.no_graph, self.fails, self.slip = False, False, 0.0

    def open(self, path, providers, threads, plan, weights=real.NO_WEIGHTS):
        name, options = real.split_provider(providers[0])
        if name != "CUDAExecutionProvider":
            return self.real_open(path, providers, threads, plan, weights)
        assert options["device_id"] == "0"
        self.opened.append(options)
        if self.no_graph and "enable_cuda_graph" in options:
            from meshwright.engines.errors import BackendUnavailable

            raise BackendUnavailable("a node lies on the CPU")
        on_cpu = self.real_open(path, ("CPUExecutionProvider",), threads, plan, weights)
        return SimulatedSession(self, on_cpu, BY_STREAM[int(options["user_compute_stream"])], "enable_cuda_graph" in options)


class SimulatedSession:
    def __init__(self, provider, on_cpu, cuda, captures):
        self._provider, self._session, self.cuda, self._captures = provider, on_cpu, cuda, captures

    def get_inputs(self):
        return self._session.get_inputs()

    def get_outputs(self):
        return self._session.get_outputs()

    def io_binding(self):
        return SimulatedBinding(self)

    def run_with_iobinding(self, binding, options):
        cuda, provider = self.cuda, self._provider
        assert binding.session is self and _entry(options, "gpu_graph_id") == ("-1" if self._captures else None)
        provider.waits.append(_entry(options, "disable_synchronize_execution_providers") != "1")
        cuda.call("execute", {name: place[0] for name, place in {**binding.inputs, **binding.outputs}.items() if place})
        if cuda.recording is not None:
            assert self._captures and not provider.waits[-1]
            if provider.fails:
                raise RuntimeError("operation not permitted when stream is capturing")
        slip = provider.slip if cuda.recording is not None else 0.0
        cuda.do(lambda: binding.evaluate(slip), cuda.step_ms)


class SimulatedBinding:
    def __init__(self, session):
        self.session, self.inputs, self.outputs, self.made = session, {}, {}, {}

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
        return self.session.cuda.view(address, size).view(dtype).reshape(shape)

    def _array(self, *place):
        return self._view(*place).copy()


def _entry(options, name):
    try:
        return options.get_run_config_entry(name)
    except RuntimeError:  # of one that was not given
        return None
