"""The folder of a batch: its files, and `manifest.jsonl`, which agrees with them whenever the process ends.

A result's files and the manifest that names them are one file set (`file_set`): they appear together. One process at a time writes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...engines.errors import InputError, OutputError
from ...engines.files.file_set import recover, write_files

MANIFEST, SHEET = "manifest.jsonl", "contact_sheet.png"
MADE, FAILED = "made", "failed"
ELSEWHERE = "choose another folder, or move it away"


class Manifest:
    """What there is in `folder`, which is a batch's or new. OutputError for a manifest of something else.

    entries : name -> what its line says: "name", "line" (its number in the list), "state" ("made" or "failed"), "request" (hexadecimal
        SHA-256 of all that the mesh depends on), "files" ([{"name", "bytes", "sha256"}]), and what the run told
    """

    def __init__(self, folder: Path) -> None:
        recover(folder)  # what a killed process was about to put in place
        self.folder = folder
        self.entries = _read(folder / MANIFEST)
        self._lines = {name: json.dumps(entry) for name, entry in self.entries.items()}

    def is_made(self, name: str, request: str) -> bool:
        """Whether the result of this very request is there, with all its files."""
        entry = self.entries.get(name, {})
        return (entry.get("state"), entry.get("request")) == (MADE, request) and all(
            os.path.isfile(path) and path.stat().st_size == file["bytes"]
            for file in entry["files"] for path in [self.folder / file["name"]])

    def made(self) -> list[str]:
        """The names of the results, in the order of the manifest."""
        return [name for name in self._ordered() if self.entries[name]["state"] == MADE]

    def check_free(self, files: Iterable[str]) -> None:
        """OutputError if one of these names is that of a file in the folder that no result of this batch is."""
        own = {file["name"] for entry in self.entries.values() for file in entry["files"]} | ({SHEET} if self.entries else set())
        for name in files:
            if name not in own and os.path.lexists(self.folder / name):
                raise OutputError(f"{self.folder / name} is not of this batch, and would be overwritten", remedy=ELSEWHERE)

    def add(self, entry: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, Any]:
        """Write a result, in place of an earlier one of its name, whose other files go. Gives the entry with its files.

        A result that failed has no files, and leaves the earlier one's there. OutputError leaves all as it was.
        """
        name = entry["name"]
        earlier = [file for file in self.entries.get(name, {}).get("files", ()) if os.path.isfile(self.folder / file["name"])]
        written = [{"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()]
        whole = {**entry, "files": earlier if entry["state"] == FAILED else written}
        old = [] if entry["state"] == FAILED else [self.folder / file["name"] for file in earlier if file["name"] not in files]
        entries, lines = self.entries | {name: whole}, self._lines | {name: json.dumps(whole)}
        text = "".join(f"{lines[each]}\n" for each in _ordered(entries))
        write_files({self.folder / MANIFEST: text.encode()} | {self.folder / name: data for name, data in files.items()}, old)
        self.entries, self._lines = entries, lines
        return whole

    def _ordered(self) -> list[str]:
        return _ordered(self.entries)


def _ordered(entries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names, in the order of the list."""
    return sorted(entries, key=lambda name: (entries[name]["line"], entries[name]["seed"], name))


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read", received=str(error), remedy=ELSEWHERE) from error
    entries = {}
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            for file in entry["files"]:
                if os.path.basename(file["name"]) != file["name"] or file["name"] in ("", ".", "..") or not isinstance(file["bytes"], int):
                    raise ValueError("a file that is not in this folder")
            entries[str(entry["name"])] = entry | {"line": int(entry["line"]), "seed": int(entry["seed"]), "state": str(entry["state"])}
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise InputError(f"{path} is not the manifest of a batch", received=f"line {number}: {error}", remedy=ELSEWHERE) from error
    return entries
