"""Commands that are measured: real processes."""

import sys
import time

import pytest

from benchmarks.harness.command import checked_command, run_command


def python(code):
    return [sys.executable, "-c", code]


def test_time_memory_and_output_are_measured():
    ended = run_command(python("x = bytearray(300 << 20); print('said'); sum(range(3_000_000))"))
    assert ended.code == 0 and ended.output == "said\n" and ended.failure_message is None
    assert ended.peak_bytes > 300 << 20 and 0.01 < ended.processor_seconds and 0.01 < ended.seconds < 60


def test_a_command_that_fails_says_why_without_folders():
    ended = run_command(python("raise SystemExit('cannot read /some/folder/file.txt')"))
    assert ended.code == 1 and ended.failure_message == "cannot read file.txt"
    assert run_command(python("raise SystemExit(3)")).failure_message == "the process ended with code 3"
    with pytest.raises(SystemExit, match="ended with code 1\ncannot read file.txt"):
        checked_command(python("raise SystemExit('cannot read /some/folder/file.txt')"))


def test_a_command_that_takes_too_long_is_ended():
    began = time.monotonic()
    ended = run_command(python("import time; time.sleep(60)"), limit=0.3)
    assert ended.code == -9 and time.monotonic() - began < 20
