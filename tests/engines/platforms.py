"""Which tests need what of the machine."""

import platform
import sys

import pytest

# The extra `test` installs it there, so that its absence fails instead of leaving the tests out.
TENSORRT_RTX = pytest.mark.skipif(sys.platform != "linux" or platform.machine() != "x86_64",
                                  reason="TensorRT-RTX is tested on Linux on x86-64")
