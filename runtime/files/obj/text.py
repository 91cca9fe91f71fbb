"""The text of OBJ and MTL files as bytes of one kind: a superset of ASCII, lines that end with a newline, no lines that go on."""

from __future__ import annotations

import codecs
import re

# The longer marks first: that of UTF-32 begins like that of UTF-16.
_MARKS = ((codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"), (codecs.BOM_UTF16_LE, "utf-16-le"),
          (codecs.BOM_UTF16_BE, "utf-16-be"))
# Letters of a file's path, or of a line of options: beyond, it names nothing.
MAX_NAME_LENGTH = 4096
# Bytes that are looked at where no mark says what the encoding is.
_LOOK = 4096
# A comment never goes on: some end with a Windows folder, and what follows is a line of its own.
_CONTINUED = re.compile(rb"^(?![ \t]*#)[^\n]*\\\n(?:[^\n]*\\\n)*+[^\n]*", re.MULTILINE)


def plain_text(data: bytes) -> bytes:
    """The text of a file in UTF-8 (from UTF-16 or UTF-32) or as it is; lines that a backslash continues are one, its number kept.

    Without a mark (BOM), UTF-16 is known by the zeros in every other byte.
    """
    text = _in_utf8(data)
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\\\n" in text:
        text = _CONTINUED.sub(lambda lines: lines[0].replace(b"\\\n", b" ") + b"\n" * lines[0].count(b"\\\n"), text)
    return text


def decode_name(name: bytes) -> str:
    """A name in UTF-8 or else in Latin-1, so that names that differ stay different."""
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("latin-1")


def line_argument(line: bytes) -> str:
    """What follows the first word of a line, spaces and all; "" if nothing does."""
    return decode_name(b"".join(line.split(None, 1)[1:]).strip())


def strip_comment(text: str) -> str:
    """The text before a # that follows a space."""
    return re.split(r"(?:^|\s)#", text, maxsplit=1)[0].strip()


def with_count(what: str, count: int, line: int) -> str:
    """A notice of something that stands in so many lines or corners."""
    return f"{what} ({count}, the first in line {line})" if count > 1 else f"{what} (line {line})"


def _in_utf8(data: bytes) -> bytes:
    if data.startswith(codecs.BOM_UTF8):
        return data[len(codecs.BOM_UTF8):]
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark):].decode(encoding, "replace").encode()
    unmarked = _utf16_without_mark(data[:_LOOK])
    return data.decode(unmarked, "replace").encode() if unmarked else data


def _utf16_without_mark(head: bytes) -> str | None:
    """The encoding, if at least nine in ten of every other byte are zero, and at most one in ten of the rest."""
    pairs = len(head) // 2
    low, high = head[0::2].count(0), head[1::2].count(0)
    if pairs >= 4 and max(low, high) >= 0.9 * pairs and min(low, high) <= 0.1 * pairs:
        return "utf-16-le" if high > low else "utf-16-be"
    return None
