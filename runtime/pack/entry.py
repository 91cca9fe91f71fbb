"""A JSON document read with suspicion: every wrong type, range or missing entry is named."""

from __future__ import annotations

import builtins
import math
from collections.abc import Mapping
from typing import Any

from ...engines.errors import PackFormat, printable

# Of texts that people write, such as notes on a licence, and of what stands in lists.
MAX_TEXT_LENGTH, MAX_LIST_LENGTH = 4000, 4096
MAX_NUMBER = 1e9  # unless an entry has a range of its own


class Entry:
    """One value of the document and where it stands, so that an error can name it.

    Where a method is called like a type, annotations say `builtins.` for the type.
    """

    def __init__(self, where: str, value: Any) -> None:
        self.where, self.value = where, value

    def __contains__(self, key: str) -> bool:
        return key in self.dict()

    def __getitem__(self, key: str) -> Entry:
        if key not in self.dict():
            raise PackFormat(f"{self.where} lacks an entry", expected=key)
        return Entry(f"{self.where}: {key}", self.value[key])

    def get(self, key: str, default: Any) -> Entry:
        return self[key] if key in self else Entry(f"{self.where}: {key}", default)

    def dict(self) -> Mapping[builtins.str, Any]:
        return self._of(dict, "an object")

    def items(self) -> builtins.list[tuple[builtins.str, Entry]]:
        if len(self.dict()) > MAX_LIST_LENGTH:
            raise PackFormat(f"{self.where} has too many entries", received=str(len(self.value)), expected=f"at most {MAX_LIST_LENGTH}")
        for key in self.value:
            _check_text(f"{self.where}: a name", key)
        return [(key, self[key]) for key in self.value]

    def list(self, max_length: builtins.int = MAX_LIST_LENGTH) -> builtins.list[Entry]:
        values = self._of(list, "a list")
        if len(values) > max_length:
            raise PackFormat(f"{self.where} is too long", received=f"{len(values)} entries", expected=f"at most {max_length}")
        return [Entry(f"{self.where}[{i}]", value) for i, value in enumerate(values)]

    def str(self, key: builtins.str, choices: tuple[builtins.str, ...] = ()) -> builtins.str:
        entry = self[key]
        text = entry.text()
        if choices and text not in choices:
            raise PackFormat(f"{entry.where} has an unknown value", received=text, expected=" or ".join(choices))
        return text

    def text(self) -> builtins.str:
        """A string without control characters, so that it can be shown."""
        _check_text(self.where, self._of(str, "a string"))
        return self.value

    def int(self, key: builtins.str, low: builtins.int = 0, high: builtins.int = 1 << 53) -> builtins.int:
        """A whole number in a range; the highest is what JSON's numbers hold exactly."""
        return self[key].whole(low, high)

    def whole(self, low: builtins.int, high: builtins.int) -> builtins.int:
        number = self._of(int, "an integer")
        if isinstance(number, bool) or not low <= number <= high:
            raise PackFormat(f"{self.where} is out of range", received=_shown(number), expected=f"{low} to {high}")
        return number

    def bool(self, key: builtins.str) -> builtins.bool:
        return self[key]._of(bool, "true or false")

    def float(self, key: builtins.str, low: builtins.float = -MAX_NUMBER, high: builtins.float = MAX_NUMBER) -> builtins.float:
        return self[key].number(low, high)

    def number(self, low: builtins.float = -MAX_NUMBER, high: builtins.float = MAX_NUMBER) -> builtins.float:
        value = self._of((int, float), "a number")
        if isinstance(value, bool) or isinstance(value, float) and not math.isfinite(value):
            raise PackFormat(f"{self.where} is not a finite number", received=_shown(value))
        if not low <= value <= high:
            raise PackFormat(f"{self.where} is out of range", received=_shown(value), expected=f"{low:g} to {high:g}")
        return float(value)

    def numbers(self, key: builtins.str, low: builtins.float = -MAX_NUMBER,
                high: builtins.float = MAX_NUMBER) -> tuple[builtins.float, ...]:
        return tuple(entry.number(low, high) for entry in self[key].list())

    def _of(self, types: Any, expected: builtins.str) -> Any:
        if not isinstance(self.value, types):
            raise PackFormat(f"{self.where} has the wrong type", received=type(self.value).__name__,
                             expected=expected)
        return self.value


def _check_text(where: str, text: str) -> None:
    if len(text) > MAX_TEXT_LENGTH or printable(text) != text or "\n" in text or "\t" in text:
        raise PackFormat(f"{where} is not printable text", received=_shown(text),
                         expected=f"at most {MAX_TEXT_LENGTH} characters, none of them a control character")


def _shown(value: Any) -> str:
    """The value's beginning. A whole number may have more digits than Python likes to write."""
    shown = f"a number of {value.bit_length()} bits" if isinstance(value, int) and value.bit_length() > 128 else str(value)
    return shown if len(shown) <= 80 else f"{shown[:80]}..."
