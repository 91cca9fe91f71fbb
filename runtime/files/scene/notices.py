"""What a reader of a mesh file could not honour: one sentence for each kind, with the names of what it is about."""

from __future__ import annotations

MAX_NAMED = 3
MAX_NAME_LENGTH = 80


class Notices:
    """Collects what is noticed; the same sentence about many things is said once, with the first of their names."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, None]] = {}

    def add(self, message: str, about: str | None = None) -> None:
        """message : a sentence; about : what it is about, such as a material, named as `quoted` names it"""
        names = self._found.setdefault(message, {})
        if about is not None:
            names[about] = None

    def messages(self) -> tuple[str, ...]:
        """In the order in which they were first added."""
        return tuple(message + _names(list(about)) for message, about in self._found.items())


def quoted(name: object) -> str:
    """A name from a file, in quotes and on one line: it may hold anything, and messages go to terminals."""
    text = str(name)
    return repr(text if len(text) <= MAX_NAME_LENGTH else text[:MAX_NAME_LENGTH] + "...")


def _names(names: list[str]) -> str:
    if not names:
        return ""
    more = f", and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f" ({', '.join(names[:MAX_NAMED])}{more})"
