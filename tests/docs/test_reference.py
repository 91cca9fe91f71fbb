"""Pages that repeat what the code says are up to date: the Python API, options, variables, and what pack.json holds."""

import argparse
import importlib.util
import re
from dataclasses import fields

from meshwright.export.cli import build_parser as export_parser
from meshwright.runtime import Pipeline
from meshwright.runtime.cli.options import build_parser
from meshwright.runtime.pack.manifest import Component, Manifest
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
    page = (ROOT / "docs/python_api.md").read_text("utf-8")
    assert page == module.page(), "run: python docs/make_python_api.py"
    for line in ("### Request", "    seed: int = 0,", "- `control_scale`: 0 to 10, None for 1. How strongly the views follow `control`.",
                 "- `prior_steps`, `prior_guidance`, `prior_sampler`, `prior_guidance_interval`: the same four for the loop "
                 "that draws the coarse shape."):
        assert f"\n{line}\n" in page


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


def test_the_variables_of_ours_are_on_the_page_of_privacy():
    sources = [path.read_text("utf-8") for half in ("engines", "runtime", "export") for path in (ROOT / half).rglob("*.py")]
    read = {name for source in sources for name in re.findall(r"MESHWRIGHT_[A-Z]+", source)}
    rows = [line for line in (ROOT / "docs/command_line.md").read_text("utf-8").splitlines() if line.startswith("| `")]
    assert read == {name for row in rows for name in re.findall(r"^\| `(MESHWRIGHT_[A-Z]+)`", row)}


def test_every_entry_of_a_manifest_is_on_the_page_of_packs():
    page = (ROOT / "docs/packs.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    first = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert {field.name for field in fields(Manifest)} - {"reconstructor_view_size"} <= first
    components = next(row for row in rows if row.startswith("| `components`"))
    held = {field.name for field in fields(Component)} - {"name", "spec"} | {"inputs", "outputs"}
    assert held == set(re.findall(r"`(\w+)`", components.split("|")[2]))
