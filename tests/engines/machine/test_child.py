"""How child processes are started on each system."""

import os
import subprocess
import sys

import pytest

from meshwright.engines.machine import child
from meshwright.engines.machine.child import start_child


@pytest.mark.parametrize(("system", "flag", "files"), [("win32", 0x08000000, ()), ("linux", 0, (7,)), ("darwin", 0, (7,))])
def test_windows_opens_no_console_and_passes_no_file_on(monkeypatch, system, flag, files):
    monkeypatch.setattr(child.sys, "platform", system)
    if system == "win32":
        monkeypatch.setattr(subprocess, "CREATE_NO_WINDOW", flag, raising=False)
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: (command, options))
    command, options = start_child(["worker"], inherited=7, stdin=subprocess.PIPE)
    assert (command, options) == (["worker"], {"pass_fds": files, "creationflags": flag, "stdin": subprocess.PIPE})


@pytest.mark.skipif(sys.platform == "win32", reason="children inherit no files there")
def test_a_child_holds_the_file_that_it_inherits(tmp_path):
    handle = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    try:
        code = f"import os; print(os.fstat({handle}).st_ino)"
        with start_child([sys.executable, "-c", code], inherited=handle, stdout=subprocess.PIPE, text=True) as process:
            assert process.communicate(timeout=30)[0] == f"{os.fstat(handle).st_ino}\n"
    finally:
        os.close(handle)
