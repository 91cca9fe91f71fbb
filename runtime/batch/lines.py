"""What a batch is to make: lists of prompts and pictures, read from text, CSV and JSON lines, or a folder of pictures."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...engines.errors import InputError
from ...engines.files.regular_file import read_regular
from ..images import MATTES
from ..request import Request

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
# What a row may say, and how a cell of a CSV file is read.
FIELDS: dict[str, Callable[[str], Any]] = {
    "name": str, "prompt": str, "image": str, "matte": str, "recipe": str, "route": str, "seed": int, "count": int, "steps": int,
    "guidance": float, "sampler": str, "prior_steps": int, "prior_guidance": float, "prior_sampler": str, "quality": str,
    "deep_cache": int, "faces": int,
    "texture": int, "texture_from": str}
MAX_BYTES, MAX_COUNT, MAX_NAME = 64 << 20, 10_000, 60
NAME = re.compile(r"\w[\w.+-]{0,99}(?<!\.)")


@dataclass(frozen=True)
class Line:
    """One mesh to make.

    name : of its files, without their extensions; no two lines of a batch have the same, also where letter case does not count
    number : of the line in the list, from 1; in a folder, of the picture
    options : as `Request.load` takes them, with the seed; paths of pictures begin where the list lies
    """

    name: str
    number: int
    prompt: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def read_lines(path: str | Path, *, seed: int = 0, count: int = 1) -> list[Line]:
    """The lines of a list, checked but for the contents of the pictures.

    path : a folder of pictures; a CSV file with a header, `.csv`; JSON lines, `.jsonl` or `.ndjson`, of objects; else text with a prompt
        on each line, where empty lines and those that begin with # say nothing. UTF-8. `FIELDS` are the columns and keys.
    seed, count : of lines that do not say theirs. A line of count n makes n meshes, with n seeds from its own upwards.
    A line without a name is named by the picture's file, else by the prompt; "_2", "_3" and so on tell equal names apart.
    Errors: InputError, with the number of the line.
    """
    path = Path(path)
    rows = list(_pictures(path) if path.is_dir() else _rows(path))
    if not rows:
        raise InputError(f"{path} is empty", expected="a prompt or a picture on each line, or a folder of pictures")
    names = _Names(path, rows)
    return [line for number, row in rows for line in _expanded(path, number, row, names, seed, count)]


def _expanded(path: Path, number: int, row: dict[str, Any], names: _Names, seed: int, count: int) -> Iterator[Line]:
    options = {"seed": seed, **row}
    name, prompt, copies = options.pop("name", None), options.pop("prompt", ""), options.pop("count", count)
    try:
        if isinstance(copies, bool) or not isinstance(copies, int) or not 1 <= copies <= MAX_COUNT:
            raise InputError("count is out of range", received=repr(copies), expected=f"an integer, 1 to {MAX_COUNT}")
        _check(path, prompt, options)
    except InputError as error:
        raise InputError(f"{path}, line {number}: {error.subject}", received=error.received, expected=error.expected,
                         remedy=error.remedy) from error
    base = path if path.is_dir() else path.parent
    options |= {key: str(base / options[key]) for key in ("image", "matte") if key in options and options[key] not in MATTES}
    own = name or (_plain(Path(options["image"]).stem) if "image" in options else _slug(prompt))
    for k in range(copies):
        chosen = name if name is not None and k == 0 else names.free(own)
        yield Line(chosen, number, prompt, {**options, "seed": options["seed"] + k})


def _check(path: Path, prompt: object, options: dict[str, Any]) -> None:
    """InputError where `Request` would refuse it; the picture is looked at when its line's turn comes."""
    of_picture = {name: options[name] for name in ("image", "matte", "route") if name in options}
    rest = {name: value for name, value in options.items() if name not in of_picture}
    image = of_picture.get("image")
    if image is None and of_picture:
        raise InputError("route and matte need a picture", remedy="give one, or leave them out")
    if any(not isinstance(value, str) for value in of_picture.values()):
        raise InputError("image, matte or route is no text", received=repr(of_picture))
    Request(prompt if prompt or image is None else "object", **rest)  # type: ignore[arg-type]
    for file in (value for name, value in of_picture.items() if name == "image" or name == "matte" and value not in MATTES):
        if not ((path if path.is_dir() else path.parent) / file).is_file():
            raise InputError("there is no such picture", received=file, expected="a path from the folder of the list")


def _pictures(folder: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    names = sorted(entry.name for entry in folder.iterdir() if entry.suffix.lower() in PICTURES and entry.is_file())
    yield from ((number, {"image": name}) for number, name in enumerate(names, 1))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number of the line, what it says), each with known fields only."""
    data = read_regular(path, f"the list {path}", InputError, max_bytes=MAX_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"the list {path} is not text", received=str(error), expected="UTF-8") from error
    kind = path.suffix.lower()
    read = {".csv": _csv, ".jsonl": _json, ".ndjson": _json}.get(kind, _text)
    for number, row in read(path, text):
        unknown = [str(name) for name in row if name not in FIELDS]
        if unknown:
            raise InputError(f"{path}, line {number}: unknown field", received=", ".join(unknown), expected=", ".join(FIELDS))
        named = row.get("name")
        if named is not None and (not isinstance(named, str) or not NAME.fullmatch(named)):
            raise InputError(f"{path}, line {number}: the name cannot be one of a file", received=repr(named),
                             expected="letters, digits, and . _ + - after the first")
        yield number, row


def _text(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, {"prompt": line.strip()}


def _json(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number} is not JSON", received=str(error)) from error
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number} is no object", received=type(row).__name__, expected='{"prompt": ...}')
        yield number, {name: value for name, value in row.items() if value is not None}


def _csv(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if None in row:
                raise InputError(f"{path}, line {reader.line_num} has more cells than the header")
            cells = {name.strip(): cell.strip() for name, cell in row.items() if cell is not None and cell.strip()}
            if cells:
                yield reader.line_num, {name: _cell(path, reader.line_num, name, cell) for name, cell in cells.items()}
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num} is not CSV", received=str(error)) from error


def _cell(path: Path, number: int, name: str, cell: str) -> Any:
    try:
        return FIELDS.get(name, str)(cell)
    except ValueError:
        raise InputError(f"{path}, line {number}: {name} is not a number", received=repr(cell)) from None


class _Names:
    """Those that are taken. Given ones come before made ones, so that a line added at the end of a list renames no other."""

    def __init__(self, path: Path, rows: list[tuple[int, dict[str, Any]]]) -> None:
        self._taken: set[str] = set()
        for number, row in rows:
            if "name" in row:
                if row["name"].casefold() in self._taken:
                    raise InputError(f"{path}, line {number}: two lines have the same name", received=repr(row["name"]))
                self._taken.add(row["name"].casefold())
        self._next: dict[str, int] = {}

    def free(self, base: str) -> str:
        """`base`, or with a number behind it."""
        name, key = base, base.casefold()
        while name.casefold() in self._taken:
            self._next[key] = self._next.get(key, 1) + 1
            name = f"{base}_{self._next[key]}"
        self._taken.add(name.casefold())
        return name


def _slug(prompt: str) -> str:
    """A red chair, with white legs! -> a-red-chair-with-white-legs"""
    ascii_letters = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall("[a-z0-9]+", ascii_letters))[:MAX_NAME].strip("-") or "object"


def _plain(stem: str) -> str:
    """A picture's name without what is no part of a name."""
    return re.sub(r"[^\w.+-]+", "-", stem)[:MAX_NAME].strip(".+-") or "picture"
