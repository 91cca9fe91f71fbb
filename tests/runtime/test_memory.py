"""The high-water mark of memory: it sees what is given back, and starts anew."""

import sys

import numpy as np
import pytest

from meshwright.runtime.memory import peak_bytes, reset_peak

MEGABYTES_64 = 64 << 20


def test_a_peak_is_seen_after_the_memory_is_gone():
    reset_peak()
    before = peak_bytes()
    np.ones(MEGABYTES_64, np.uint8).sum()
    assert before > 10 << 20
    assert peak_bytes() >= before + MEGABYTES_64 // 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep one mark for the whole process")
def test_the_mark_starts_anew():
    np.ones(MEGABYTES_64, np.uint8).sum()
    high = peak_bytes()
    reset_peak()
    assert peak_bytes() < high - MEGABYTES_64 // 2
