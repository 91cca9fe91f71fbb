"""Windows and macOS, as far as Linux can stand for them: no module imports what they lack."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EVERY_MODULE = """
import sys
from importlib import import_module
from tests.simulated_system import become
modules = sys.argv[1:]
for system in ("linux", "darwin", "win32"):  # first as they are: what others made for Linux stays imported
    for name in [name for name in sys.modules if name.split(".")[0] == "meshwright"]:
        del sys.modules[name]
    if system != "linux":
        become(system)
    for name in modules:
        import_module(name)
    print(sys.platform, len(modules))
"""


def modules(half):
    """All of a half of the project, by what they are imported as."""
    paths = [path.relative_to(ROOT).with_suffix("").parts for path in sorted((ROOT / half).rglob("*.py"))]
    return [".".join(("meshwright", *(parts[:-1] if parts[-1] == "__init__" else parts))) for parts in paths]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux stands for the others here")
@pytest.mark.parametrize("halves", [("engines", "runtime"), pytest.param(("export",), marks=pytest.mark.slow)], ids="-".join)
def test_every_module_is_imported_without_what_is_missing_there(halves):
    names = [name for half in halves for name in modules(half)]
    ended = subprocess.run([sys.executable, "-c", EVERY_MODULE, *names], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == [word for system in ("linux", "darwin", "win32") for word in (system, str(len(names)))]
    assert len(names) > 50
