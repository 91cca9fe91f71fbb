"""Every example of the pages works: Python and commands marked `run` are run on a tiny pack, argparse reads the other commands."""

from __future__ import annotations

import argparse
import re
import runpy
import shlex
import sys

import pytest

from meshwright.export.cli import build_parser as export_parser
from meshwright.runtime.cli import main as cli
from tests.docs.pages import PAGES, ROOT, blocks, prose

KINDS = {"python", "sh", "sh run", "text"}
# What begins the lines that are no commands of ours.
SETUP = ("pip install ", "python3 -m venv ", ".venv-test/bin/")


def commands(*kinds):
    """(page, command) of every line in blocks of these kinds. Programs of ours that are modules import PyTorch first."""
    return [pytest.param(page.name, line, marks=[pytest.mark.slow] if line.startswith("python -m") else [])
            for page in PAGES for block in blocks(page) if block.kind in kinds for line in block.text.splitlines() if line]


def test_every_block_is_of_a_known_kind():
    assert {block.kind for page in PAGES for block in blocks(page)} == KINDS


@pytest.mark.parametrize("page", [page for page in PAGES if any(block.kind == "python" for block in blocks(page))],
                         ids=lambda page: page.name)
def test_python_runs(page, place):
    names: dict[str, object] = {}
    for number, block in enumerate(each for each in blocks(page) if each.kind == "python"):
        exec(compile(block.text, f"{page.name}, block {number + 1}", "exec"), names)
    assert (place / "chair.glb").read_bytes()[:4] == b"glTF"


@pytest.mark.parametrize("page", [page for page in PAGES if any(block.kind == "sh run" for block in blocks(page))],
                         ids=lambda page: page.name)
def test_commands_run(page, place, capsys):
    """One after the other, as someone types them who tries the page."""
    for line in (line for block in blocks(page) if block.kind == "sh run" for line in block.text.splitlines() if line):
        program, *arguments = shlex.split(line, comments=True)
        assert program == "meshwright"
        assert cli.main(arguments) == 0, f"{line}: {capsys.readouterr().err}"
        for at in (place / each for option, each in zip(arguments, arguments[1:], strict=False) if option in ("-o", "--preview")):
            assert at.stat().st_size > 100


@pytest.mark.parametrize("page, line", commands("sh", "sh run"))
def test_argparse_reads_commands(page, line, monkeypatch):
    for part in line.split(" && "):
        words = shlex.split(part, comments=True)
        if words[0].rpartition("/")[2] == "meshwright":
            parser = export_parser() if words[1] == "export" else cli.build_parser()
            parser.parse_args(words[2:] if words[1] == "export" else words[1:])
        elif words[:2] == ["python", "-m"]:
            assert _reads(words[2], words[3:], monkeypatch)
        else:
            assert part.startswith(SETUP) or "bin/pip install" in part


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_sentences_have_the_options_that_are_named(page):
    for command in re.findall(r"`(meshwright [a-z][^`]*|python -m [^`]*)`", prose(page)):
        words = command.split()
        if words[0] == "python":
            source = ROOT / words[2].removeprefix("meshwright.").replace(".", "/")
            source = source / "__main__.py" if source.is_dir() else source.with_suffix(".py")
        else:
            source = ROOT / ("export/cli.py" if words[1] == "export" else "runtime/cli/options.py")
            assert words[1] in ("export", *cli.COMMANDS), command
        text = source.read_text("utf-8")
        assert all(f'"{word}"' in text for word in words if word.startswith("--") and word != "--help"), command


class _Read(Exception):
    """Instead of the work that a program would begin."""


def _reads(module, arguments, monkeypatch):
    """Whether the program's own parser takes the arguments. SystemExit where it does not."""
    read = argparse.ArgumentParser.parse_args

    def stop(self, *given, **options):
        read(self, *given, **options)
        raise _Read

    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        patch.setattr(sys, "argv", [module, *arguments])
        patch.syspath_prepend(str(ROOT))
        for name in (module, f"{module}.__main__"):  # another test of this process may have imported it
            patch.delitem(sys.modules, name, raising=False)
        with pytest.raises(_Read):
            runpy.run_module(module, run_name="__main__")
    return True
