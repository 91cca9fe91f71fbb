"""What is called of TensorRT exists in the installed bindings, with the arguments that it is called with."""

import inspect
import re

import pytest

from meshwright.engines.tensorrt.logger import logger
from tests.engines import simulated_tensorrt as simulated
from tests.engines.simulated_tensorrt import tensorrt_rtx

PAIRS = {"Runtime": simulated.SimulatedRuntime, "IRuntimeConfig": simulated.SimulatedConfig, "IRuntimeCache": simulated.SimulatedCache,
         "ICudaEngine": simulated.SimulatedEngine, "IExecutionContext": simulated.SimulatedContext,
         "Refitter": simulated.SimulatedRefitter}
ATTRIBUTES = {"ICudaEngine": ("num_io_tensors", "device_memory_size_v2", "refittable"),
              "IRuntimeConfig": ("dynamic_shapes_kernel_specialization_strategy", "cuda_graph_strategy")}


def signatures(function):
    """Each overload's parameters, self excepted: names as pybind's docstring lists them."""
    found = re.findall(rf"{function.__name__}\((self: [^\n]*)\) ->", function.__doc__)
    return [re.findall(r"(?:^|, )(\w+): ", each)[1:] for each in found]


@pytest.mark.parametrize("name", PAIRS)
def test_the_simulated_methods_are_the_real_ones(name):
    real = getattr(tensorrt_rtx, name)
    methods = [method for method in vars(PAIRS[name]) if not method.startswith("_") and callable(getattr(PAIRS[name], method))]
    assert methods
    for method in methods:
        parameters = list(inspect.signature(getattr(PAIRS[name], method)).parameters)[1:]
        assert parameters in signatures(getattr(real, method)), method


@pytest.mark.parametrize("name, attribute", [(name, attribute) for name, found in ATTRIBUTES.items() for attribute in found])
def test_the_attributes(name, attribute):
    found = inspect.getattr_static(getattr(tensorrt_rtx, name), attribute)
    assert isinstance(found, property) and (name != "IRuntimeConfig" or found.fset is not None)


def test_the_enumerations():
    assert tensorrt_rtx.ExecutionContextAllocationStrategy.USER_MANAGED and tensorrt_rtx.CudaGraphStrategy.DISABLED is not None
    kinds = tensorrt_rtx.DynamicShapesKernelSpecializationStrategy
    assert kinds.EAGER != kinds.LAZY
    assert {"FLOAT", "HALF", "INT64", "INT32", "INT8", "UINT8", "BOOL"} <= set(tensorrt_rtx.DataType.__members__)
    for enumeration in ("TensorIOMode", "TensorLocation", "EngineStat"):
        assert getattr(tensorrt_rtx, enumeration).__members__


def test_what_tensorrt_serialises_becomes_bytes(tmp_path):
    """As the kernels are that it compiled for a card: here a network's plan, which is an object of the same kind."""
    builder = tensorrt_rtx.Builder(logger(tensorrt_rtx))
    network = builder.create_network(1 << int(tensorrt_rtx.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    network.mark_output(network.add_identity(network.add_input("x", tensorrt_rtx.float32, (2,))).get_output(0))
    made = builder.build_serialized_network(network, builder.create_builder_config())
    assert type(made) is tensorrt_rtx.IHostMemory and len(bytes(made or b"")) == made.nbytes > 100


def test_a_logger_and_a_runtime_can_be_made():
    log = logger(tensorrt_rtx)
    log.log(tensorrt_rtx.ILogger.Severity.WARNING, "no matter")
    log.log(tensorrt_rtx.ILogger.Severity.ERROR, "a  first\nerror")
    assert log.errors() == "a first error" and log.errors() == "TensorRT gave no reason"
    log.log(tensorrt_rtx.ILogger.Severity.ERROR, "another")
    assert log.errors() == "another"
