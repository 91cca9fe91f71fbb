"""The pages for users: README.md and docs/*.md, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^    .*\n)+", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """kind : what stands behind the fence, such as "sh run"; "sh" for indented lines."""

    page: Path
    kind: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The blocks of code of a page, in order."""
    text = page.read_text("utf-8")
    fenced = [(match.start(), Block(page, match[1].strip(), match[2])) for match in FENCED.finditer(text)]
    rest = FENCED.sub(lambda match: re.sub(r"[^\n]", "x", match[0]), text)
    indented = [(match.start(), Block(page, "sh", re.sub(r"^    ", "", match[0], flags=re.MULTILINE)))
                for match in INDENTED.finditer(rest)]
    return [block for _, block in sorted(fenced + indented, key=lambda pair: pair[0])]


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return INDENTED.sub("", FENCED.sub("", page.read_text("utf-8")))


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub links to them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
