"""Commands that an installed package adds: a real distribution on the path of a real process."""

import os
import subprocess
import sys

import pytest

MODULE = """
import sys
from meshwright.engines.errors import ExportError, InputError

def main(arguments):
    if arguments == ["refuse"]:
        raise InputError("no such thing", received="refuse")
    if arguments == ["fail"]:
        raise ExportError("it did not work")
    if arguments == ["break"]:
        raise RuntimeError("a fault")
    if arguments == ["wait"]:
        raise KeyboardInterrupt
    print(arguments, "torch" in sys.modules)
    return len(arguments)
"""


@pytest.fixture
def added(tmp_path):
    """Runs the command line where a package `demo` adds the command `paint`."""
    (tmp_path / "demo_of_a_command.py").write_text(MODULE)
    information = tmp_path / "demo-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[meshwright.commands]\npaint = demo_of_a_command:main\n")

    def run(*arguments):
        command = [sys.executable, "-m", "meshwright.runtime.cli.main", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    return run


def test_it_gets_its_arguments_and_gives_the_exit_code(added):
    ended = added("paint", "--colour", "red", "-h")
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "['--colour', 'red', '-h'] False\n", "")
    assert added("paint").returncode == 0


@pytest.mark.parametrize(("argument", "code", "message"), [
    ("refuse", 2, "meshwright: no such thing; received refuse\n"), ("fail", 1, "meshwright: it did not work\n"),
    ("break", 1, "meshwright: internal error: RuntimeError: a fault"), ("wait", 130, "meshwright: stopped\n"),
])
def test_its_errors_are_one_line(added, argument, code, message):
    ended = added("paint", argument)
    assert ended.returncode == code and ended.stderr.startswith(message) and ended.stderr.count("\n") == 1


def test_the_help_names_it(added):
    assert "paint" in added("--help").stdout


def test_our_own_commands_and_unknown_ones_are_not_affected(added):
    assert added("packs").returncode == 0
    ended = added("sculpt")
    assert ended.returncode == 2 and "invalid choice: 'sculpt'" in ended.stderr
