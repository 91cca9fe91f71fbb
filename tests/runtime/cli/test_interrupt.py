"""Ctrl-C, SIGTERM and SIGHUP: exit code 128 and the signal's number, one line, no file, at every stage."""

import os
import signal
import subprocess
import sys

import pytest

from meshwright.runtime.recipes.sharp_it import STAGES

pytestmark = pytest.mark.slow


def start(tiny, folder, *options):
    """The command line in a process group of its own, as a shell starts it."""
    command = [sys.executable, "-m", "meshwright.runtime.cli.main", "generate", "a red chair", "--pack", str(tiny),
               "-o", "chair.obj", "--preview", "c.png", "--keep-stages", "kept", *options]
    return subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            start_new_session=True, preexec_fn=_heed_interrupts)


def _heed_interrupts():
    """A run of the tests in the background of a script ignores Ctrl-C, and its children would too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def interrupt_after(process, beginning, number=signal.SIGINT):
    """Press Ctrl-C, or send another signal, once a line that begins so has been printed; what was printed after that."""
    for line in process.stderr:
        if line.startswith(beginning):
            os.killpg(process.pid, number)
            break
    out, rest = process.communicate(timeout=60)
    return out, rest


# The texture is large, so that the run cannot be over before the signal arrives.
@pytest.mark.parametrize("stage", range(1, len(STAGES)), ids=lambda number: f"during-{STAGES[number]}")
def test_ctrl_c_after_each_stage(tiny, tmp_path, stage):
    with start(tiny, tmp_path, "--texture", "4096", "--steps", "300", "--prior-steps", "300") as process:
        out, rest = interrupt_after(process, f"[{stage}/")
    assert process.returncode == 130, rest
    assert rest.splitlines()[-1] == "meshwright: stopped" and "Traceback" not in rest and out == ""
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_while_a_dataclass_is_made(tmp_path, number):
    """Python marks a string that KeyboardInterrupt came out of, and `-m` then ends by SIGINT, whatever the exit code."""
    (tmp_path / "interrupted.py").write_text(
        "import sys\nfrom meshwright.runtime.cli import main\n"
        "work = 'import os, time; os.kill(os.getpid(), NUMBER); time.sleep(9)'\n"
        "main._command = lambda arguments: lambda: exec(work)\nsys.exit(main.main([]))\n".replace("NUMBER", str(int(number))))
    ended = subprocess.run([sys.executable, "-m", "interrupted"], cwd=tmp_path, capture_output=True, text=True, preexec_fn=_heed_interrupts)
    assert (ended.returncode, ended.stderr) == (128 + number, "meshwright: stopped\n")


def test_ctrl_c_while_writing(tiny, tmp_path):
    """The last stage has ended; the preview and the files are being made."""
    with start(tiny, tmp_path, "--texture", "512") as process:
        _, rest = interrupt_after(process, "[8/8] texture")
    assert process.returncode == 130 and "Traceback" not in rest
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("stage", "number", "code"), [(1, signal.SIGTERM, 143), (5, signal.SIGHUP, 129)], ids=["SIGTERM", "SIGHUP"])
def test_other_signals_that_end_a_process(tiny, tmp_path, stage, number, code):
    with start(tiny, tmp_path, "--texture", "4096", "--steps", "300", "--prior-steps", "300") as process:
        out, rest = interrupt_after(process, f"[{stage}/", number)
    assert (process.returncode, rest.splitlines()[-1], out) == (code, "meshwright: stopped", "")
    assert "Traceback" not in rest and os.listdir(tmp_path) == []


# A command of another package, as `export` is one: it writes a pack for as long as nothing stops it.
WRITER = """
import sys, time
from pathlib import Path
from meshwright.export.pack.folder import new_folder
from meshwright.runtime.cli import main as cli

def write(arguments):
    with new_folder(Path("deep/pack")) as folder:
        (folder / "pack.json").write_text("{}")
        print("writing", file=sys.stderr, flush=True)
        time.sleep(60)

cli._command = lambda arguments: lambda: write(arguments)
sys.exit(cli.main([]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_an_export_that_is_stopped_leaves_nothing(tmp_path, number):
    process = subprocess.Popen([sys.executable, "-c", WRITER], cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               start_new_session=True, preexec_fn=_heed_interrupts)
    out, rest = interrupt_after(process, "writing", number)
    assert (process.returncode, rest, out) == (128 + number, "meshwright: stopped\n", "") and os.listdir(tmp_path) == []


def test_a_signal_that_is_ignored_stays_ignored(tiny, tmp_path):
    """As under nohup."""
    command = [sys.executable, "-m", "meshwright.runtime.cli.main", "generate", "a red chair", "--pack", str(tiny), "-o", "c.glb",
               "--texture", "64"]
    process = subprocess.Popen(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                               preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    _, rest = interrupt_after(process, "[1/", signal.SIGHUP)
    assert process.returncode == 0, rest
    assert os.listdir(tmp_path) == ["c.glb"]


# A signal comes; what is raised then is dropped, as compiled modules do while they are imported.
DROPPED = """
def work():
    try:
        os.kill(os.getpid(), number)
    except KeyboardInterrupt:
        pass
    time.sleep(60)
"""
# It is not dropped, and cleaning up takes longer than it takes to notice that it might have been.
SLOW = """
def stage():
    try:
        yield
    finally:
        time.sleep(0.7)
        print("cleaned up", file=sys.stderr)

def work():
    with closing(stage()) as events:
        next(events)
        os.kill(os.getpid(), number)
"""
RUN = """
import os, sys, time
from contextlib import closing
from meshwright.runtime.cli import main as cli

number = int(sys.argv[1])
WORK
cli._command = lambda arguments: work
sys.exit(cli.main([]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize(("work", "said"), [(DROPPED, ""), (SLOW, "cleaned up\n")], ids=["dropped", "slow"])
def test_a_signal_stops_the_work_once_and_for_all(work, said, number):
    ended = subprocess.run([sys.executable, "-c", RUN.replace("WORK", work), str(int(number))], capture_output=True, text=True, timeout=30,
                           preexec_fn=_heed_interrupts)
    assert (ended.returncode, ended.stderr) == (128 + number, f"{said}meshwright: stopped\n")
