"""Links, anchors and files that the pages name are there."""

import re

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, prose

LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"`((?:engines|runtime|export|benchmarks|tests|docs)/[\w./-]+)`")


def name(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page):
    targets = [target for target in LINK.findall(prose(page)) if not target.startswith("https://")]
    missing = []
    for target in targets:
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or anchor and anchor not in anchors(file):
            missing.append(target)
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_that_is_named_exists(page):
    # What a benchmark writes need not have been written yet.
    named = [file for file in FILE.findall(page.read_text("utf-8")) if not file.startswith("benchmarks/results/")]
    assert [file for file in named if not (ROOT / file).exists()] == []


def test_the_path_of_a_prompt_names_files_that_exist():
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    files = re.findall(r"\b(?:engines|runtime)/[\w/]+\.py\b", page)
    assert len(files) > 25 and [file for file in files if not (ROOT / file).exists()] == []


def test_every_page_is_in_the_index():
    index = ROOT / "docs/README.md"
    linked = {target.partition("#")[0] for target in LINK.findall(index.read_text("utf-8"))}
    assert {page.name for page in PAGES if page.parent == index.parent} - {index.name} <= linked


def test_the_readme_is_one_page_and_shows_its_pictures():
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 150
    shown = {target.rpartition("/")[2] for page in PAGES for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text("utf-8"))}
    assert shown == {path.name for path in (ROOT / "docs").glob("*.png")}
