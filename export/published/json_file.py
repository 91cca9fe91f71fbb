"""JSON files as they are published, small slips included."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from ...engines.errors import CheckpointError
from ...engines.files.regular_file import read_regular

MAX_BYTES = 16 << 20  # bytes; the index of a network of thousands of tensors takes a megabyte

# A whole text, so that a comma inside one is never touched, or a comma with nothing after it but a bracket.
_TEXT_OR_COMMA = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])')


def read_json(path: str | os.PathLike[str]) -> tuple[Any, tuple[str, ...]]:
    """The document and notices to show the user; a comma before a closing bracket is let pass, with a notice.

    Raises CheckpointError for a file that is missing or no JSON.
    """
    path = Path(path)
    text = read_text(path)
    try:
        return json.loads(text), ()
    except RecursionError as error:
        raise CheckpointError(f"{path} is nested too deeply", remedy="download the file again") from error
    except ValueError as error:
        mended, commas = _without_trailing_commas(text)
        try:
            document = json.loads(mended)
        except (ValueError, RecursionError):
            raise CheckpointError(f"{path} is not JSON", received=str(error), remedy="download the file again") from error
    plural = "a comma" if commas == 1 else f"{commas} commas"
    return document, (f"{path}: {plural} before a closing bracket, which JSON does not allow; read as if not there",)


def read_object(path: str | os.PathLike[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """As `read_json`, for a file that must hold an object: every configuration does."""
    document, notices = read_json(path)
    if not isinstance(document, dict):
        raise CheckpointError(f"{path} is not a configuration", received=type(document).__name__, expected="a JSON object")
    return document, notices


def read_text(path: Path) -> str:
    """The text of a UTF-8 file. Raises CheckpointError if it is missing, no text, or a pointer of Git LFS."""
    if not os.path.lexists(path):
        raise CheckpointError(f"{path} does not exist", expected="the file of a published checkpoint",
                              remedy="give the folder as it was published")
    try:
        text = read_regular(path, str(path), CheckpointError, max_bytes=MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} cannot be read", received=str(error)) from error
    if text.startswith(LFS_POINTER):
        raise pointer_error(path)
    return text


# What Git leaves in place of a large file that was not fetched.
LFS_POINTER = "version https://git-lfs"


def pointer_error(path: Path) -> CheckpointError:
    """For a file that is only a pointer of Git LFS."""
    return CheckpointError(f"{path} is a pointer of Git LFS and not the file itself", received=f"{path.stat().st_size} bytes",
                           expected="the weights or the configuration", remedy="run `git lfs pull` there")


def _without_trailing_commas(text: str) -> tuple[str, int]:
    found = [match for match in _TEXT_OR_COMMA.finditer(text) if match[0] == ","]
    for match in reversed(found):
        text = text[:match.start()] + text[match.end():]
    return text, len(found)
