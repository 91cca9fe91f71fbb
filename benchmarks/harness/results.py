"""What a benchmark leaves: NAME.json, kept after every measurement so that a stopped run goes on, and NAME.md, the page made of it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "results"
VERDICTS = {True: "met", False: "missed", None: "not measured"}


class Results:
    """A document that grows while it is measured. page : makes the Markdown of it

    fresh : the document where there is none yet. Of one that is there, the entries of `fixed` must be the same.
    Errors: SystemExit for a document of something else
    """

    def __init__(self, folder: Path, name: str, fresh: dict[str, Any], page: Callable[[dict[str, Any]], str], *,
                 fixed: Sequence[str] = (), anew: bool = False) -> None:
        self._folder, self._name, self._page = folder, name, page
        path = folder / f"{name}.json"
        self.document = json.loads(path.read_text("utf-8")) if path.is_file() and not anew else fresh
        if other := [key for key in fixed if self.document[key] != fresh[key]]:
            raise SystemExit(f"{path} holds figures of another {' and '.join(other)}; choose another folder")

    def note(self, notes: Sequence[str]) -> None:
        """Sentences for the page, each once."""
        self.document["notes"] = [*dict.fromkeys([*self.document.get("notes", []), *notes])]

    def save(self) -> None:
        """Each file whole, or as it was."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for suffix, text in ((".json", json.dumps(self.document, indent=1)), (".md", self.page())):
            write_whole(self._folder / f"{self._name}{suffix}", text + "\n")

    def page(self) -> str:
        return self._page(self.document)


def write_whole(path: Path, text: str) -> None:
    """Whole, or as it was."""
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(text, "utf-8")
    os.replace(part, path)


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are set flush right."""
    rules = ["---"] + ["---:"] * (len(heading) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heading, rules, *rows))


def figure(value: float | None, form: str = ".3f", unit: float = 1.0) -> str:
    """A figure as the tables show it, in that unit; "-" for one that was not measured. form : of `format`"""
    return "-" if value is None else format(value / unit, form)


def gib(count: float | None) -> str:
    """Bytes as GiB; "-" where they are not known."""
    return figure(count or None, ".2f", 1 << 30)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {"system": platform.system(), "processor": _processor(), "cores": os.cpu_count(), "python": platform.python_version()}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
