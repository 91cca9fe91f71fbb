"""Pages that repeat what the code says are up to date: the Python API, and the options of the command line."""

import argparse
import importlib.util
import re

from meshwright.export.cli import build_parser as export_parser
from meshwright.runtime import Pipeline
from meshwright.runtime.cli.main import build_parser
from tests.docs.pages import ROOT

OPTION = re.compile(r"--[a-z][a-z0-9-]*")


def options_of(parser):
    """Every long option of a parser and of its commands."""
    found = set()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= set().union(*map(options_of, action.choices.values()))
        found |= {option for option in action.option_strings if option.startswith("--")}
    return found - {"--help", "--version"}


def documented(page):
    """The options in the first cells of a page's tables, and all that it names."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `-")]
    return {option for row in rows for option in OPTION.findall(row)}, set(OPTION.findall(text))


def test_the_python_api_is_what_the_docstrings_say():
    spec = importlib.util.spec_from_file_location("make_python_api", ROOT / "docs/make_python_api.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs/python_api.md").read_text("utf-8") == module.page(), "run: python docs/make_python_api.py"


def test_every_option_is_on_the_page_of_the_command_line():
    in_tables, named = documented("command_line.md")
    assert options_of(build_parser()) - named == set()
    assert in_tables - options_of(build_parser()) == set()


def test_every_option_of_export_is_on_the_page_of_published_models():
    in_tables, named = documented("published_models.md")
    assert options_of(export_parser()) - named == set()
    assert in_tables - options_of(export_parser()) == set()


def test_the_stages_on_the_page_of_the_architecture_are_those_of_a_prompt():
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    places = [re.search(rf"│ +{stage} ", page).start() for stage in Pipeline.open("props", backend="null").stages]
    assert places == sorted(places) and len(places) == 8
