"""Makes this Linux process look like one on Windows or macOS to code that asks: what those systems lack is taken away.

    python -c "from tests.simulated_system import become; become('win32'); ..."

No substitute for such a machine: paths, files and processes stay Linux'. `become` changes the whole process, so it is for a process
of its own, and before the code under test is imported.
"""

import ctypes
import errno
import fcntl
import os
import platform
import shutil
import signal
import struct
import subprocess
import sys
import tempfile  # noqa: F401 (decides what there is when it is imported)
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

NAMES = {"win32": "Windows", "darwin": "Darwin"}
MODULES = {"win32": ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"), "darwin": ("spwd",)}
OS = {"win32": ("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "chown", "fork", "forkpty", "getegid", "geteuid", "getgid",
                "getloadavg", "getpgid", "getuid", "killpg", "mkfifo", "nice", "pread", "pwrite", "register_at_fork", "sched_getaffinity",
                "setsid", "sysconf", "uname"),
      "darwin": ("O_DIRECT", "posix_fadvise", "sched_getaffinity", "sched_setaffinity")}
SIGNALS = {"win32": ("ITIMER_REAL", "SIGALRM", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGUSR1", "alarm", "pthread_kill", "setitimer"),
           "darwin": ("SIGRTMAX", "SIGRTMIN")}
LOCK_NON_BLOCKING = 2
# Bytes of memory that the simulated Windows has, and of those that are free.
MEMORY, FREE = 8 << 30, 3 << 30


def become(system: str) -> None:
    """Take away what `system`, "win32" or "darwin", lacks, and give what it has instead."""
    for package in ("numpy", "onnxruntime", "PIL.Image", "PIL.ImageCms", "embreex.rtcore_scene", "fast_simplification"):
        import_module(package)  # built for Linux: they ask what they run on as they are imported
    lock = _windows_lock()
    sys.platform = system
    platform.system = lambda: NAMES[system]
    for name in MODULES[system]:
        sys.modules[name] = None
    for module, names in ((os, OS[system]), (signal, SIGNALS[system])):
        for name in names:
            module.__dict__.pop(name, None)
    if system == "win32":
        subprocess.Popen.kill = lambda process: os.kill(process.pid, 9) if process.poll() is None else None
        shutil._use_fd_functions = False
        signal.SIGBREAK = signal.SIGTTIN
        _add("msvcrt", LK_NBLCK=LOCK_NON_BLOCKING, locking=lock)
        ctypes.windll = SimpleNamespace(kernel32=SimpleNamespace(GlobalMemoryStatusEx=_memory_status))
    memory = import_module("meshwright.engines.machine.memory")
    memory.STATUS = memory.REFERENCES = memory.MEMINFO = memory.OWN_GROUP = Path("/no/such/system")


def _add(name: str, **members: object) -> None:
    module = ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module


def _windows_lock():
    """`msvcrt.locking`: of bytes from where the file stands, by the open file and not by the process."""
    system_call, command, kind = fcntl.fcntl, fcntl.F_OFD_SETLK, fcntl.F_WRLCK

    def locking(handle: int, mode: int, count: int) -> None:
        assert mode == LOCK_NON_BLOCKING
        try:
            system_call(handle, command, struct.pack("hhqqi4x", kind, os.SEEK_CUR, 0, count, 0))
        except OSError as error:
            raise PermissionError(errno.EACCES, "Permission denied") from error

    return locking


def _memory_status(reference: object) -> int:
    """`GlobalMemoryStatusEx`, which refuses a structure whose length is not given."""
    status = reference._obj
    if status.length != 64:
        return 0
    status.total, status.available = MEMORY, FREE
    return 1
