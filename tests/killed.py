"""Ends a process by force just before each change that it makes to the disk, one process for each change."""

import os
import subprocess
import sys
from pathlib import Path

# Opening and writing a file are no moments of their own: nobody looks at a new file before it is renamed.
DRIVER = """
import os, signal, sys
from pathlib import Path

os.fsync = lambda handle: None  # slow, and of use in a power cut alone
CHANGES = ("replace", "rename", "link", "mkdir", "rmdir", "unlink")
root, before, work = Path(sys.argv[1]), compile(sys.argv[2], "before", "exec"), compile(sys.argv[3], "work", "exec")

def die_at(call):
    left = call

    def deadly(real):
        def change(*arguments, **options):
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)
        return change

    for name in CHANGES:
        setattr(os, name, deadly(getattr(os, name)))

call, status = 0, signal.SIGKILL
while status == signal.SIGKILL:
    call += 1
    here = root / f"{call:03}"
    here.mkdir()
    os.chdir(here)
    exec(before)
    pid = os.fork()
    if pid == 0:
        die_at(call)
        exec(work)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
sys.exit(0 if status == 0 else f"the child ended with status {status}")
"""


def killed_at_each_change(root: Path, before: str, work: str) -> list[Path]:
    """Folders in `root`, in each of which `work` was run after `before`, and killed one change later than in the one before it.

    In the last folder it came to its end. Both are Python code; the folder is the current one.
    """
    ended = subprocess.run([sys.executable, "-c", DRIVER, str(root), before, work], capture_output=True, text=True, timeout=120,
                           env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])})
    assert ended.returncode == 0, ended.stderr
    return sorted(root.iterdir())
